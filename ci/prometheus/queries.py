"""Asks a Prometheus that reads a node every query of the dashboard."""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

BASE = f"http://127.0.0.1:{os.environ['PROM']}/api/v1"
# One node has no peer, and a new one no checkpoint.
EMPTY = ("replication_lag", "snapshot_timestamp")


def get(path, **parameters):
    url = f"{BASE}{path}?{urllib.parse.urlencode(parameters)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"FAILED: {parameters}: {error.read().decode()}") from None


def until(what, done, patience=60):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if done():
                return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise SystemExit(f"FAILED: {what} in {patience} s")


def answers(query):
    return get("/query", query=query)["result"]


for job in ("cronapi", "open"):
    # Rates need two points.
    counted = f'rate(cronapi_fires_total{{job="{job}"}}[1m]) > 0'
    until(f"Prometheus reads the node as {job}", lambda: answers(counted))

with open(sys.argv[1]) as file:
    panels = json.load(file)["panels"]
queries = [target["expr"] for panel in panels for target in panel.get("targets", [])]
assert len(queries) > 30, queries
silent = []
for query in queries:
    query = query.replace("$job", "cronapi").replace("$__rate_interval", "1m")
    assert "$" not in query, query
    if not answers(query) and not any(word in query for word in EMPTY):
        silent.append(query)
if silent:
    raise SystemExit("FAILED: no answer to\n  " + "\n  ".join(silent))

rules = [rule for group in get("/rules")["groups"] for rule in group["rules"]]
until("every alarm is judged", lambda: all(
    rule["health"] == "ok" for group in get("/rules")["groups"] for rule in group["rules"]
))
names = {rule["name"] for rule in rules}
firing = {alert["labels"]["alertname"] for alert in get("/alerts")["alerts"]
          if alert["state"] == "firing"}
assert len(names) >= 15, names
assert not firing, firing
print(f"{len(queries)} queries, {len(names)} alarms")
