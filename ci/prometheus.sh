#!/usr/bin/env bash
# Prometheus's own judgement: the alarms are well formed and ring when they should
# (`promtool check rules`, `promtool test rules`), the page of a running node is clean
# (`promtool check metrics`), and a Prometheus that reads it has an answer to every query of the
# dashboard. Exits 77 when Prometheus can't be had.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "ci/prometheus.sh needs prometheus and promtool"
        exit 77
    fi
    # Installing it must not start it.
    export RUNLEVEL=1
    { apt-get update && apt-get install -y --no-install-recommends prometheus; } \
        >/dev/null 2>&1 || { echo "prometheus can't be installed"; exit 77; }
fi

passed=0
pass() {
    passed=$((passed + 1))
    echo "ok: $1"
}

alarms=charts/cronapi/files/alerts.yaml
promtool check rules "$alarms" >/dev/null
pass "the alarms are well formed"
promtool test rules ci/prometheus/alerts_test.yaml >/dev/null ||
    { promtool test rules ci/prometheus/alerts_test.yaml; exit 1; }
pass "the alarms ring when they should"

bin=${CRONAPI_BIN:-target/debug/cronapi}
[ -x "$bin" ] || cargo build --quiet
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
read -r rest open prom < <(python3 -c 'import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in held))')

CRONAPI_ADMIN_PASSWORD=correct-horse CRONAPI_METRICS_JOBS=10 "$bin" serve --data "$work/data" \
    --listen "127.0.0.1:$rest" --metrics-listen "127.0.0.1:$open" \
    --cluster-listen 127.0.0.1:0 >"$work/out" 2>"$work/log" &
pids+=($!)
sed "s/REST/$rest/; s/OPEN/$open/; s#ALARMS#$PWD/$alarms#" ci/prometheus/prometheus.yaml \
    >"$work/prometheus.yaml"
export REST=$rest OPEN=$open PROM=$prom WORK=$work
python3 ci/prometheus/page.py
pass "the page of a running node can be read"
promtool check metrics <"$work/page"
pass "and it is clean"
promtool check config "$work/prometheus.yaml" >/dev/null
prometheus --config.file="$work/prometheus.yaml" --storage.tsdb.path="$work/tsdb" \
    --web.listen-address="127.0.0.1:$prom" --log.level=warn >"$work/prom.log" 2>&1 &
pids+=($!)
python3 ci/prometheus/queries.py charts/cronapi/files/dashboard.json
pass "every query of the dashboard has an answer, and every alarm is judged"
echo "$passed passed, 0 failed, 0 skipped"
