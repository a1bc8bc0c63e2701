#!/usr/bin/env bash
# Runs the session of README.md as it stands there, against a node of its own: the lines that
# begin with "$ ". Exits 0 when each command succeeds and the answers are of the same kind,
# 77 when jq or a curl with --json is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=${CRONAPI_BIN:-target/debug/cronapi}
if ! command -v jq >/dev/null || ! curl --help all 2>/dev/null | grep -q -- --json; then
    echo "ci/readme.sh needs jq and curl 7.82 or newer"
    exit 77
fi
[ -x "$bin" ] || cargo build --quiet
work=$(mktemp -d)
pid=
cleanup() {
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap cleanup EXIT
port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')

start() {
    "$bin" serve --data "$work/data" --listen "127.0.0.1:$port" \
        --cluster-listen 127.0.0.1:0 >>"$work/out" 2>>"$work/log" &
    pid=$!
    for _ in $(seq 100); do
        curl -sf "http://127.0.0.1:$port/readyz" >/dev/null && return
        sleep 0.1
    done
    cat "$work/out" "$work/log"
    exit 1
}

commands=0
while IFS= read -r line; do
    line=${line#\$ }
    line=${line//127.0.0.1:8000/127.0.0.1:$port}
    line=${line//cron_state.db/$work/data}
    commands=$((commands + 1))
    if [ "$line" = "cargo run -- serve" ]; then
        start
        continue
    fi
    if [[ $line == API=* ]]; then
        shown=$(sed -n 's/.*user admin, password \([^ ]*\).*/\1/p' "$work/out")
        line="${line%% PASSWORD=*} PASSWORD=$shown"
    fi
    if [[ $line == *explain?at=* ]]; then
        missed=$(jq -r 'select(.[1] != null) | .[0]' <<<"$answer" | head -n 1)
        line=$(sed "s/explain?at=[^\"]*/explain?at=$missed/" <<<"$line")
    fi
    eval "$line" >"$work/answer" || { echo "FAILED: $line"; cat "$work/answer"; exit 1; }
    answer=$(cat "$work/answer")
    printf '$ %s\n%s\n' "$line" "$answer"
    case $line in
    *example-job/run*) grep -q '"status":"succeeded"' <<<"$answer" ;;
    *logs*) grep -q 'Hello from CronAPI!' <<<"$answer" ;;
    *'"bad"'*) grep -q 'did you mean timeout' <<<"$answer" ;;
    *ledger*) grep -q '"skipped","misfire"' <<<"$answer" && grep -q '"fired"' <<<"$answer" ;;
    *explain*) grep -q 'was skipped' <<<"$answer" ;;
    esac || { echo "FAILED: an answer of another kind"; exit 1; }
done < <(grep '^\$ ' README.md)
[ "$commands" -ge 10 ] || { echo "FAILED: only $commands commands were found"; exit 1; }
echo "$commands passed, 0 failed, 0 skipped"
