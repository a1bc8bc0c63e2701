#!/bin/sh
# Requests made from the OpenAPI document, good and bad, against a node of its own.
#
#   ci/schemathesis.sh [options of schemathesis]
#
# Takes ./target/debug/cronapi (or $CRONAPI) and `schemathesis` from the path (or $SCHEMATHESIS);
# `pip install -r ci/requirements.txt` has it. $SECONDS_MAX bounds the run, $EXAMPLES the examples
# of one operation, $SEED which ones.
set -eu

cd "$(dirname "$0")/.."
cronapi=${CRONAPI:-./target/debug/cronapi}
schemathesis=${SCHEMATHESIS:-schemathesis}
work=$(mktemp -d)
node=

stop() {
    if [ -n "$node" ]; then
        kill "$node" 2>/dev/null || true
        wait "$node" 2>/dev/null || true
    fi
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 130' INT TERM

free_port() {
    python3 - <<'PYTHON'
import socket
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    print(free.getsockname()[1])
PYTHON
}

port=$(free_port)
url=http://127.0.0.1:$port
password=$(python3 -c 'import secrets; print(secrets.token_hex(12))')

CRONAPI_ADMIN_PASSWORD=$password "$cronapi" serve --data "$work/data" \
    --listen "127.0.0.1:$port" --cluster-listen 127.0.0.1:0 >"$work/log" 2>&1 &
node=$!

# A node that is up says so, one that can't start is gone.
tries=0
until python3 -c "import urllib.request; urllib.request.urlopen('$url/readyz', timeout=1)" \
    2>/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" -gt 150 ] || ! kill -0 "$node" 2>/dev/null; then
        echo "the node does not come up:" >&2
        tail -n 50 "$work/log" >&2
        exit 1
    fi
    sleep 0.2
done

token=$(URL=$url PASSWORD=$password python3 - <<'PYTHON'
import json, os, urllib.parse, urllib.request
form = {"grant_type": "password", "username": "admin", "password": os.environ["PASSWORD"]}
body = urllib.parse.urlencode(form).encode()
with urllib.request.urlopen(os.environ["URL"] + "/auth/token", body) as answer:
    print(json.load(answer)["access_token"])
PYTHON
)

# A run that has ended, with output to read and to follow: ci/schemathesis.toml asks for it.
export CRONAPI_SERVER=$url CRONAPI_TOKEN=$token CRONAPI_CLI_CONFIG=$work/config.toml
runner='{"type": "shell", "command": "echo one; echo two >&2"}'
echo "{\"name\": \"seen\", \"runner\": $runner}" >"$work/seen.json"
"$cronapi" apply -f "$work/seen.json" --yes >/dev/null
RUN=$("$cronapi" run seen --wait --output name)
export RUN
unset CRONAPI_TOKEN

status=0
"$schemathesis" --config-file ci/schemathesis.toml run "$url/openapi.json" \
    --header "Authorization: Bearer $token" --request-timeout 20 \
    --phases examples,coverage,fuzzing --max-examples "${EXAMPLES:-10}" \
    --max-time "${SECONDS_MAX:-90}" --seed "${SEED:-20261123}" "$@" || status=$?

if ! kill -0 "$node" 2>/dev/null; then
    echo "the node did not live through it:" >&2
    tail -n 50 "$work/log" >&2
    exit 1
fi
if grep -q '"level":"ERROR"\|ERROR' "$work/log"; then
    echo "the node's log has errors:" >&2
    grep '"level":"ERROR"\|ERROR' "$work/log" | head -n 20 >&2
    status=1
fi
exit "$status"
