#!/usr/bin/env python3
"""Alerts through a pair of Alertmanagers while one of them is killed, and the other, in turns.

    alertmanager.py FAILURES KILLS

Each alert is sent to both, and all of them again every five seconds, as Prometheus does (it every
minute). The receiver is one webhook; the last columns are from the alert to its message.
"""
import http.server
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

FAILURES, KILLS = int(sys.argv[1]), int(sys.argv[2])
APART = 0.05
AGAIN = 5
# It sends nothing before its peers have settled.
SETTLE = 20
CONFIG = """
route: {receiver: hook, group_by: [job], group_wait: 0s, group_interval: 1s, repeat_interval: 4h}
receivers: [{name: hook, webhook_configs: [{url: "%s", send_resolved: false}]}]
"""
came, lock = {}, threading.Lock()


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        now = time.time()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            for alert in body["alerts"]:
                came.setdefault(alert["labels"]["job"], []).append(now)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def free():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return own.getsockname()[1]


class Node:
    def __init__(self, folder, config, number):
        self.api, self.gossip = free(), free()
        self.folder, self.config = f"{folder}/{number}", config
        self.log = open(f"{folder}/{number}.log", "w")

    def start(self, peer):
        self.process = subprocess.Popen(
            ["prometheus-alertmanager", f"--config.file={self.config}",
             f"--storage.path={self.folder}", f"--web.listen-address=127.0.0.1:{self.api}",
             f"--cluster.listen-address=127.0.0.1:{self.gossip}",
             f"--cluster.peer=127.0.0.1:{peer.gossip}", "--cluster.peer-timeout=1s"],
            stdout=self.log, stderr=self.log)
        while not self.ask("/-/ready"):
            time.sleep(0.05)

    def ask(self, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.api}{path}", data=body,
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False


def post(nodes, names):
    alerts = [{"labels": {"alertname": "failed", "job": name}} for name in names]
    for node in nodes:
        node.ask("/api/v2/alerts", json.dumps(alerts).encode())


def fail(nodes, sent):
    for number in range(FAILURES):
        name = f"job-{number}"
        sent[name] = time.time()
        post(nodes, [name])
        time.sleep(APART)


def repeat(nodes, sent, over):
    while not over.wait(AGAIN):
        post(nodes, list(sent))


def main():
    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        config = f"{folder}/config.yml"
        with open(config, "w") as out:
            out.write(CONFIG % f"http://127.0.0.1:{hook.server_port}/")
        nodes = [Node(folder, config, number) for number in (0, 1)]
        try:
            for node, peer in (nodes, nodes[::-1]):
                node.start(peer)
            time.sleep(SETTLE)
            sent, over = {}, threading.Event()
            threading.Thread(target=repeat, args=(nodes, sent, over), daemon=True).start()
            failing = threading.Thread(target=fail, args=(nodes, sent))
            failing.start()
            pause = FAILURES * APART / (KILLS + 1) if KILLS else 0
            for number in range(KILLS):
                time.sleep(pause)
                node, peer = nodes[number % 2], nodes[1 - number % 2]
                node.process.send_signal(signal.SIGKILL)
                node.process.wait()
                node.start(peer)
            failing.join()
            quiet, last = time.time(), -1
            while time.time() - quiet < 20:
                with lock:
                    now = sum(map(len, came.values()))
                if now != last:
                    quiet, last = time.time(), now
                time.sleep(0.1)
            over.set()
        finally:
            for node in nodes:
                node.process.kill()
                node.process.wait()
    waits = sorted(times[0] - sent[name] for name, times in came.items())
    at = lambda share: int(waits[min(len(waits) - 1, len(waits) * share // 100)] * 1000)
    twice = sum(len(times) - 1 for times in came.values())
    print(f"| Alertmanager, a pair | {FAILURES} | {KILLS} | {len(came)} | {FAILURES - len(came)} | "
          f"{twice} | {at(50)} ms | {at(99)} ms |")


main()
