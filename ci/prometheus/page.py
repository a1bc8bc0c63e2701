"""Gives a node some work, a token to Prometheus, and the node's page to promtool."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request

BASE = f"http://127.0.0.1:{os.environ['REST']}"
WORK = os.environ["WORK"]


def ask(method, path, body=None, token=None, form=False):
    headers = {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        headers["Content-Type"] = (
            "application/x-www-form-urlencoded" if form else "application/json"
        )
        body = (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
    request = urllib.request.Request(BASE + path, body, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    return json.loads(text) if text.startswith(("{", "[")) else text


def until(what, done, patience=60):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if found := done():
                return found
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise SystemExit(f"FAILED: {what} in {patience} s")


until("the node is ready", lambda: ask("GET", "/readyz"))
login = {"grant_type": "password", "username": "admin", "password": "correct-horse"}
admin = ask("POST", "/auth/token", login, form=True)["access_token"]
ask("POST", "/users", {"name": "prometheus", "role": "viewer", "password": "correct-horse"}, admin)
login["username"] = "prometheus"
viewer = ask("POST", "/auth/token", login, form=True)["access_token"]
with open(f"{WORK}/token", "w") as file:
    file.write(viewer)
often = {"name": "often", "expr": "* * * * * *", "runner": {"type": "shell", "command": "true"}}
ask("POST", "/jobs", often, admin)
ask("POST", "/jobs", {"name": "fails", "runner": {"type": "shell", "command": "false"}}, admin)
assert ask("POST", "/jobs/fails/run?wait=20s", {}, admin)["status"] == "failed"


def worked():
    page = ask("GET", "/metrics", token=viewer)
    done = 'cronapi_runs_total{result="succeeded",trigger="schedule"} '
    line = next(line for line in page.splitlines() if line.startswith(done))
    return page if float(line.split()[-1]) >= 2 else None


page = until("scheduled runs are counted", worked)
assert 'cronapi_runs_total{result="failed",trigger="manual"} 1' in page, page
with open(f"{WORK}/page", "w") as file:
    file.write(page)
