#!/bin/bash
# Three nodes of an old binary under load are replaced one by one by a new one; then the ledger is
# checked. Usage: ci/rolling-upgrade.sh OLD NEW. It ends only what it started.
set -euo pipefail
old=$1 new=$2
dir=$(mktemp -d); pids=("" "" ""); host=127.77.3
export CRONAPI_PASSWORD="a password for an upgrade"
export CRONAPI_ADMIN_PASSWORD=$CRONAPI_PASSWORD
export CRONAPI_CLUSTER_KEY="a cluster key that is only good for tests"
join="$host.1:8001,$host.2:8001,$host.3:8001"

end() {
  for pid in "${pids[@]}"; do [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; done
  rm -rf "$dir"
}
trap end EXIT

start() { # node, binary
  local at="$host.$1"
  "$2" serve --listen "$at:8000" --cluster-listen "$at:8001" --advertise "$at:8001" --join "$join" \
    --data "$dir/$1" --drain 3s >>"$dir/$1.out" 2>>"$dir/$1.err" &
  pids[$1 - 1]=$!
}
ready() { # node
  for _ in $(seq 600); do
    [ "$(curl -s -o "$dir/null" -w '%{http_code}' "http://$host.$1:8000/readyz")" = 200 ] && return
    sleep 0.1
  done
  echo "node $1 is not ready"; tail -5 "$dir/$1.err"; exit 1
}
token() {
  curl -sf "http://$host.$1:8000/auth/token" -d username=admin --data-urlencode \
    "password=$CRONAPI_PASSWORD" | field '["access_token"]'
}
api() { # node, method, path, body
  curl -sf -X "$2" "http://$host.$1:8000$3" -H "Authorization: Bearer $token" \
    -H 'content-type: application/json' ${4:+-d "$4"}
}
# What only the new version knows: refused with the reason until all nodes know it, whoever
# is asked.
newer() { # node, name
  curl -s -o "$dir/answer" -w '%{http_code}' "http://$host.$1:8000/jobs" \
    -H "Authorization: Bearer $token" -H 'content-type: application/json' \
    -d "{\"name\":\"$2\",\"heartbeat_url\":\"https://hc.example.org/a\"}"
}
field() { python3 -c "import json,sys; print(json.load(sys.stdin)$1)"; }

began=$(date +%s)
for node in 1 2 3; do start $node "$old"; done
for node in 1 2 3; do ready $node; done
token=$(token 1)
for n in $(seq 20); do
  api 1 POST /jobs "{\"name\":\"every-$n\",\"expr\":\"* * * * * *\",\"overlap\":\"allow\",
    \"runner\":{\"type\":\"shell\",\"command\":\"echo done\"}}" >"$dir/null"
done
sleep 5
for node in 1 2 3; do
  pid=${pids[$node - 1]}
  kill -TERM "$pid"; wait "$pid" || { echo "node $node failed"; exit 1; }
  start $node "$new"; ready $node
  totals=$(api $node GET /system/status | field '["totals"]')
  echo "node $node runs the new binary; $totals"
  if [ "$node" -lt 3 ]; then
    for asked in $(seq "$node"); do
      answered=$(newer "$asked" "early-$node-$asked")
      [ "$answered" = 409 ] && [ "$(field '["code"]' <"$dir/answer")" = upgrade-needed ] || {
        echo "node $asked took a heartbeat, or did not say why not: $answered"
        cat "$dir/answer"; exit 1
      }
    done
    echo "a heartbeat: $(field '["detail"]' <"$dir/answer")"
  fi
  sleep 4
done
for _ in $(seq 100); do
  answered=$(newer 1 late)
  [ "$answered" = 201 ] && break
  sleep 0.1
done
[ "$answered" = 201 ] || { echo "no heartbeat though all are new: $(cat "$dir/answer")"; exit 1; }
echo "a heartbeat is taken once all nodes are new"
token=$(token 1)
servers="http://$host.1:8000,http://$host.2:8000,http://$host.3:8000"
"$new" audit-fires --server "$servers" --user admin
for node in 1 2 3; do echo "node $node: format $(field '["format"]' <"$dir/$node/FORMAT")"; done
kill -TERM "${pids[2]}"; wait "${pids[2]}" || true; pids[2]=""
listen=(--listen "$host.3:8000" --cluster-listen "$host.3:8001")
if "$old" serve "${listen[@]}" --data "$dir/3" 2>"$dir/refused"; then
  echo "the old binary started on the new data"; exit 1
fi
echo "the old binary on the new data: $(tail -1 "$dir/refused")"
echo "rolling upgrade in $(($(date +%s) - began)) s"
