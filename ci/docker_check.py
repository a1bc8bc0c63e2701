#!/usr/bin/env python3
"""Brings docker-compose.yml up in its three ways, and does to it what happens to containers.

Needs an engine, `docker`, the compose command in COMPOSE and an image in CRONAPI_IMAGE; uses only
what it names by its own project, and removes it at the end. Each check is a line; the last line
counts them."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = f"cronapi-ci-{os.getpid()}"
PASSWORD = "correct horse battery staple"
PATIENCE = 90
PORT = 18400
ENV = {
    **os.environ,
    "COMPOSE_PROJECT_NAME": PROJECT,
    "CRONAPI_PORT": str(PORT),
}
COMPOSE = os.environ.get("COMPOSE", "docker compose").split()
EXAMPLE = {
    "name": "example-job",
    "expr": "*/5 * * * *",
    "code": "def my_job():\n    print('Hello from CronAPI!')\n",
}
TICK = {"name": "tick", "expr": "* * * * * *", "runner": {"type": "shell", "command": "date +%T"}}

passed = failed = 0


class Failed(Exception):
    """What was waited for did not come, or a command failed."""


def check(what, fault=None):
    global passed, failed
    if fault:
        failed += 1
        print(f"FAILED {what}: {fault}", flush=True)
    else:
        passed += 1
        print(f"ok {what}", flush=True)


def run(*words, env=None, wrong_ok=False):
    done = subprocess.run(
        words, env={**ENV, **(env or {})}, cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    if done.returncode != 0 and not wrong_ok:
        raise Failed(f"{' '.join(words)}: {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done


def compose(*words, **more):
    return run(*COMPOSE, *words, **more)


def eventually(what, holds, patience=PATIENCE):
    """Asks until it holds; gives what it gave."""
    deadline, last = time.monotonic() + patience, None
    while time.monotonic() < deadline:
        try:
            last = holds()
            if last:
                return last
        except (OSError, Failed, KeyError) as error:
            last = error
        time.sleep(0.2)
    raise Failed(f"not within {patience} s: {what} (last: {last})")


class Node:
    """A container, asked at its own address."""

    def __init__(self, container):
        self.container = container
        self.token = None

    def inspect(self, form):
        return run("docker", "inspect", "-f", form, self.container).stdout.strip()

    @property
    def url(self):
        return f"http://{self.address}:8000"

    @property
    def address(self):
        networks = json.loads(self.inspect("{{json .NetworkSettings.Networks}}"))
        return next(iter(networks.values()))["IPAddress"]

    def ask(self, path, body=None, form=None, token=True):
        request = urllib.request.Request(self.url + path)
        if form:
            request.data = urllib.parse.urlencode(form).encode()
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if token:
            self.token = self.token or self.login()
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def get(self, path):
        status, answer = self.ask(path)
        if status != 200:
            raise Failed(f"{self.url}{path}: {status} {answer}")
        return answer

    def login(self):
        form = {"username": "admin", "password": PASSWORD}
        status, answer = self.ask("/auth/token", form=form, token=False)
        if status != 200:
            raise Failed(f"{self.url}/auth/token: {status} {answer}")
        return answer["access_token"]

    def status(self):
        return self.get("/system/status")

    def ready(self):
        return self.ask("/readyz", token=False)[0] == 200


class Front(Node):
    """The one address of all, on this machine."""

    def __init__(self):
        super().__init__(None)

    @property
    def url(self):
        return f"http://127.0.0.1:{PORT}"


def nodes(running=True):
    words = ["docker", "ps", "-q", "--filter", f"label=com.docker.compose.project={PROJECT}"]
    words += [] if running else ["-a"]
    found = []
    for container in run(*words).stdout.split():
        node = Node(container)
        service = node.inspect('{{index .Config.Labels "com.docker.compose.service"}}')
        if service not in ("key", "front", "redis"):
            found.append(node)
    return found


def live(node):
    """How many members a node sees alive and voting."""
    items = node.get("/cluster/nodes")["items"]
    return [i for i in items if i["live"] and i["role"] in ("leader", "follower", "voter")]


def whole(count):
    """All nodes, once each of them sees so many voters alive."""
    def holds():
        found = nodes()
        return found if len(found) == count and all(len(live(n)) == count for n in found) else None
    return eventually(f"{count} nodes that see {count} voters", holds)


def cluster_of(found):
    """The cluster that all are of."""
    ids = {node.status()["cluster_id"] for node in found}
    if len(ids) != 1 or not all(ids):
        raise Failed(f"the nodes are of {len(ids)} clusters: {ids}")
    return ids.pop()


def leader(found):
    return eventually(
        "a leader", lambda: next((n for n in found if n.status()["role"] == "leader"), None)
    )


def session(where, found):
    """What the README does, at each of these."""
    for index, node in enumerate(found):
        name = f"example-{index}"
        status, answer = node.ask("/jobs", {**EXAMPLE, "name": name})
        if status == 409:
            status = 201
        fault = None if status == 201 else f"{status} {answer}"
        if not fault:
            status, run_ = node.ask(f"/jobs/{name}/run?wait=30s", {})
            if (status, run_.get("status")) != (200, "succeeded"):
                fault = f"{status} {run_}"
        if not fault:
            other = found[(index + 1) % len(found)]
            log = json.dumps(other.get(f"/jobs/{name}/logs?limit=1"))
            fault = None if "Hello from CronAPI!" in log else log
        if not fault:
            status, answer = node.ask("/jobs", {"name": "bad", "tmieout": "5m"})
            wrong = status != 422 or "did you mean timeout" not in json.dumps(answer)
            fault = f"{status} {answer}" if wrong else None
        check(f"the README's session at {where}, {index + 1} of {len(found)}", fault)


def fires_after(node, since):
    rows = node.get("/jobs/tick/ledger?limit=20")["items"]
    return [r for r in rows if r["outcome"] == "fired" and r["nominal_time"] > since]


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def fires_go_on(what, found):
    since = now()
    eventually("fires", lambda: all(len(fires_after(node, since)) >= 2 for node in found))
    check(what)


def audited(what, found):
    """The checker, in a container, asking every node."""
    urls = ",".join(f"http://{node.address}:8000" for node in found)
    done = run(
        "docker", "exec", "-e", f"CRONAPI_PASSWORD={PASSWORD}", found[0].container,
        "cronapi", "audit-fires", "--user", "admin", "--server", urls, wrong_ok=True,
    )
    print(done.stdout.strip())
    sound = done.returncode == 0 and done.stdout.startswith("sound:")
    check(what, None if sound else f"{done.returncode}: {done.stderr.strip()}")


def one_node():
    compose("up", "-d", "cronapi")
    found = whole(1)
    node = found[0]
    eventually("healthy", lambda: node.inspect("{{.State.Health.Status}}") == "healthy")
    check("up -d cronapi: one node, healthy")
    session("the one port", [Front()])
    check("nothing else runs", None if len(nodes(running=False)) == 1 else "more containers")
    who = run("docker", "exec", node.container, "id", "-u").stdout.strip()
    check("it is not root", None if who == "65532" else who)
    wrote = run("docker", "exec", node.container, "touch", "/usr/x", wrong_ok=True)
    check("its root file system can't be written", None if wrote.returncode else "it can")
    shown = run("docker", "inspect", node.container).stdout
    keys = run("docker", "exec", node.container, "cat", "/run/cronapi/cluster-key").stdout.strip()
    logs = compose("logs", "--no-color").stdout
    check("the key is made, and shown nowhere",
          None if len(keys) == 64 and keys not in shown + logs else "it is shown or missing")
    session("each node", found)
    node.ask("/jobs", TICK)
    fires_go_on("a job fires every second", found)
    return node


def restarts(node):
    before = node.status()
    slow = {"name": "slow", "runner": {"type": "shell", "command": "sleep 4; echo done"}}
    node.ask("/jobs", slow)
    _, run_ = node.ask("/jobs/slow/run", {})
    eventually("it runs", lambda: node.get(f"/runs/{run_['id']}")["status"] == "running")
    began = time.monotonic()
    run("docker", "stop", "-t", "40", node.container)
    took = time.monotonic() - began
    code = node.inspect("{{.State.ExitCode}}")
    check("a stop waits for what runs, and ends well",
          None if code == "0" and 2 < took < 25 else f"exit code {code} after {took:.1f} s")
    run("docker", "start", node.container)
    node = whole(1)[0]
    ended = node.get(f"/runs/{run_['id']}")
    check("what ran has succeeded", None if ended["status"] == "succeeded" else str(ended))
    same = [node.status()[k] == before[k] for k in ("node_id", "cluster_id")]
    check("a restart keeps node and cluster", None if all(same) else str(node.status()))


def three_replicas():
    before = cluster_of(nodes())
    compose("up", "-d", "--scale", "cronapi=3", "cronapi")
    found = whole(3)
    after = cluster_of(found)
    check("--scale cronapi=3: one cluster of three, the one there was",
          None if after == before else f"{before} has become {after}")
    session("each node", found)
    session("the one port", [Front()])
    return found


def leader_killed(found):
    first = leader(found)
    identity = first.status()["node_id"]
    rest = [node for node in found if node is not first]
    run("docker", "kill", "-s", "KILL", first.container)
    second = leader(rest)
    check("the leader is killed, another one leads")
    eventually("an answer", lambda: Front().ask("/readyz", token=False)[0] == 200)
    answers = [Front().ask("/readyz", token=False)[0] for _ in range(12)]
    fault = None if set(answers) == {200} else str(answers)
    check("the one port leads to those that are there", fault)
    fires_go_on("fires go on without it", rest)
    status, answer = second.ask("/jobs", {"name": "meanwhile"})
    check("writes go on", None if status in (201, 409) else f"{status} {answer}")
    run("docker", "start", first.container)
    found = whole(3)
    back = next(n for n in found if n.container == first.container)
    check("it comes back as the same node",
          None if back.status()["node_id"] == identity else str(back.status()))
    back.get("/jobs/meanwhile")
    check("and has what it missed")
    return found


def cut(found):
    first = leader(found)
    rest = [node for node in found if node is not first]
    network = f"{PROJECT}_default"
    run("docker", "network", "disconnect", network, first.container)
    leader(rest)
    fires_go_on("the leader is cut off, the others fire", rest)
    run("docker", "network", "connect", "--alias", "nodes", network, first.container)
    found = whole(3)
    cluster_of(found)
    fires_go_on("after healing all three agree on new fires", found)
    audited("audit-fires finds nothing after the kill and the cut", found)
    return found


def down_and_up(found):
    before = cluster_of(found)
    ids = {node.status()["node_id"] for node in found}
    compose("down")
    compose("up", "-d", "--scale", "cronapi=3", "cronapi")
    found = whole(3)
    kept = cluster_of(found) == before and {n.status()["node_id"] for n in found} == ids
    check("down and up: new containers, the same nodes", None if kept else "other nodes")
    found[0].get("/jobs/tick")
    compose("up", "-d")
    found = whole(3)
    kept = cluster_of(found) == before and {n.status()["node_id"] for n in found} == ids
    check("a plain up takes the same nodes over", None if kept else "other nodes")
    compose("down", "-v")


def three_services():
    compose("up", "-d", env={"CRONAPI_ADMIN_PASSWORD": ""})
    eventually("three nodes", lambda: len(nodes()) == 3 and all(n.ready() for n in nodes()))
    logs = compose("logs", "--no-color").stdout
    shown = [line for line in logs.splitlines() if "user admin, password" in line]
    shown = [line.split("password ")[1].split()[0] for line in shown]
    check("the first admin's password is shown once", None if len(shown) == 1 else str(shown))
    global PASSWORD
    PASSWORD = shown[0]
    found = whole(3)
    cluster = cluster_of(found)
    check("a plain up: one cluster of three")
    session("each node", found)
    found[0].ask("/jobs", TICK)
    fires_go_on("a job fires every second", found)
    return cluster


def seat(node):
    """The number of the data directory that a container has."""
    host = node.inspect("{{.Config.Hostname}}")
    words = ["grep", "-l", host, "-r", "/var/lib/cronapi", "--include=*.seat"]
    path = run("docker", "exec", node.container, *words).stdout.strip()
    return int(path.rsplit("/", 1)[1].removesuffix(".seat"))


def wiped(cluster):
    found = nodes()
    by_seat = {seat(node): node for node in found}
    first, others = by_seat[1], [by_seat[2], by_seat[3]]
    for node in others + [first]:
        run("docker", "stop", "-t", "40", node.container)
    volume = f"{PROJECT}_data"
    run("docker", "run", "--rm", "--network", "none", "--entrypoint", "rm", "-v", f"{volume}:/data",
        ENV["CRONAPI_IMAGE"], "-rf", "/data/1")
    run("docker", "start", first.container)
    # Long enough to have begun a cluster several times over.
    until = time.monotonic() + 8
    alone = True
    while time.monotonic() < until and alone:
        try:
            alone = not first.ready()
        except OSError:
            pass
        time.sleep(0.2)
    check("the founder without its data begins no second cluster", None if alone else "it did")
    for node in others:
        run("docker", "start", node.container)
    found = whole(3)
    after = cluster_of(found)
    check("it joins the others when they are back", None if after == cluster else after)
    fires_go_on("fires go on", found)
    audited("audit-fires finds nothing after that", found)


def redis(node):
    compose("--profile", "redis", "up", "-d", "redis")
    container = compose("--profile", "redis", "ps", "-q", "redis").stdout.strip()
    health = "{{.State.Health.Status}}"
    eventually("Redis", lambda: Node(container).inspect(health) == "healthy")
    node.ask("/jobs", {
        "name": "counts",
        "code": "import socket\n\ndef job():\n"
                "    with socket.create_connection(('redis', 6379), 5) as redis:\n"
                "        redis.sendall(b'INCR runs\\r\\n')\n"
                "        print(redis.recv(64).decode())\n",
    })
    status, run_ = node.ask("/jobs/counts/run?wait=30s", {})
    done = (status, run_.get("status")) == (200, "succeeded")
    count = run("docker", "exec", container, "redis-cli", "get", "runs").stdout.strip()
    check("--profile redis: a job reaches it by its name", None if done and count == "1" else run_)
    ENV["REDIS_URL"] = "redis://redis:6379"
    compose("up", "-d")
    found = whole(3)
    found[0].ask("/jobs/counts/run?wait=30s", {})

    def told():
        read = ("redis-cli", "XRANGE", f"cronapi:{cluster_of(found)}:redis", "-", "+")
        return "run.succeeded" in run("docker", "exec", container, *read).stdout
    eventually("the end of a run in the stream of Redis", told)
    check("REDIS_URL: events go into a stream there")


def main():
    ENV["CRONAPI_ADMIN_PASSWORD"] = PASSWORD
    try:
        node = one_node()
        restarts(node)
        found = three_replicas()
        found = leader_killed(found)
        found = cut(found)
        down_and_up(found)
        cluster = three_services()
        wiped(cluster)
        redis(nodes()[0])
    except Exception as error:  # whatever it is, what was started must go
        check("to the end", f"{type(error).__name__}: {error}")
        print(compose("ps", "-a", wrong_ok=True).stdout)
        print(compose("logs", "--no-color", "--tail", "25", wrong_ok=True).stdout)
    finally:
        if not os.environ.get("KEEP"):
            compose("--profile", "redis", "down", "-v", "-t", "5", wrong_ok=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
