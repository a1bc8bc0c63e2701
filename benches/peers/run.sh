#!/usr/bin/env bash
# What others do with the same work, as rows of tables, in turns: queues (BullMQ on Redis,
# Procrastinate on PostgreSQL), items of a task (Prefect, Airflow) and alerts (a pair of
# Alertmanagers). `run.sh [queues|items|alerts]`
#
# It installs them into a folder of its own (PEERS_DIR keeps it for the next time), starts their
# stores on loopback with what they write on disk before they answer, and ends all of it.
# Needs python3, node, redis-server and PostgreSQL's programs. docs/performance.md has the figures.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
what=${1:-all}
jobs=${JOBS:-10000}
items=${ITEMS:-500}
rounds=${ROUNDS:-3}
dir=${PEERS_DIR:-$(mktemp -d)}
mkdir -p "$dir"
run=$(mktemp -d)
chmod 755 "$run"
pids=()

ended() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  # All that it has started: its session is ours alone.
  [ -z "${airflow_pid:-}" ] || pkill -KILL -s "$airflow_pid" || true
  if [ -d "$run/pg" ]; then
    as_postgres "$pg/pg_ctl" -D "$run/pg/data" -m immediate stop >/dev/null || true
  fi
  rm -rf "$run"
  [ -n "${PEERS_DIR:-}" ] || rm -rf "$dir"
}
trap ended EXIT

need() { command -v "$1" >/dev/null || { echo "SKIPPED: $1 is not here" >&2; exit 77; }; }

port() {
  python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

venv() { # NAME PACKAGES...
  local name=$1
  shift
  [ -x "$dir/$name/bin/python" ] || python3 -m venv "$dir/$name"
  "$dir/$name/bin/pip" install -q --disable-pip-version-check "$@"
}

# PostgreSQL does not run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"
  else
    "$@"
  fi
}

postgres() {
  pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)
  [ -n "$pg" ] || { echo "SKIPPED: PostgreSQL is not here" >&2; exit 77; }
  if [ "$(id -u)" = 0 ]; then install -d -o postgres "$run/pg"; else mkdir -p "$run/pg"; fi
  pg_port=$(port)
  as_postgres "$pg/initdb" -D "$run/pg/data" -A trust -U postgres --no-sync >/dev/null
  as_postgres "$pg/pg_ctl" -D "$run/pg/data" -w -l "$run/pg/log" \
    -o "-p $pg_port -c listen_addresses=127.0.0.1 -k $run/pg -c max_connections=300" \
    start >/dev/null
}

redis() { # every write is on disk before its answer, or once a second
  redis_port=$(port)
  mkdir -p "$run/redis-$1"
  redis-server --port "$redis_port" --bind 127.0.0.1 --dir "$run/redis-$1" --appendonly yes \
    --appendfsync "$1" --maxmemory-policy noeviction --save "" >/dev/null &
  pids+=($!)
  until redis-cli -p "$redis_port" ping >/dev/null 2>&1; do sleep 0.1; done
}

# Both sides at once, as one has it: from the first job that is asked for to the end of the last.
timed() { # NAME WORK WORKER... -- ADDER...
  local name=$1 work=$2 worker=() out
  shift 2
  while [ "$1" != -- ]; do worker+=("$1"); shift; done
  shift
  out=$(mktemp -p "$run")
  "${worker[@]}" >"$out" 2>"$out.err" &
  local pid=$! began ended
  until grep -q ready "$out"; do
    kill -0 $pid || { cat "$out.err" >&2; exit 1; }
    sleep 0.1
  done
  began=$("$@" | tail -1)
  wait $pid || { cat "$out.err" >&2; exit 1; }
  ended=$(tail -1 "$out")
  python3 -c "
took = $ended - $began
print(f'| $name | $work | $jobs | {took:.2f} s | {$jobs / took:.0f} |')"
}

queues() {
  need redis-server
  need node
  mkdir -p "$dir/bullmq"
  cp "$here/bullmq.mjs" "$dir/bullmq/"
  (cd "$dir/bullmq" && { [ -f package.json ] || npm init -y >/dev/null; } \
    && npm install --silent --no-fund --no-audit bullmq@6.7.0 ioredis@5.9.3 >/dev/null)
  venv procrastinate procrastinate==3.10.0 'psycopg[binary,pool]==3.3.9'
  postgres
  echo "| what | each job | jobs | time | a second |"
  echo "|---|---|---|---|---|"
  for _ in $(seq "$rounds"); do
    for work in none process; do
      for sync in everysec always; do
        redis "$sync"
        timed "BullMQ, Redis syncs $sync" "$work" \
          node "$dir/bullmq/bullmq.mjs" work "$redis_port" "$jobs" "$work" \
          -- node "$dir/bullmq/bullmq.mjs" add "$redis_port" "$jobs"
        redis-cli -p "$redis_port" shutdown nosave >/dev/null 2>&1 || true
        rm -rf "$run/redis-$sync"
      done
      timed "Procrastinate, PostgreSQL" "$work" \
        "$dir/procrastinate/bin/python" procrastinate_jobs.py work "$pg_port" "$jobs" "$work" \
        -- "$dir/procrastinate/bin/python" procrastinate_jobs.py add "$pg_port" "$jobs"
    done
  done
}

prefect() {
  venv prefect prefect==3.9.1
  export PREFECT_HOME=$run/prefect PREFECT_LOGGING_LEVEL=ERROR
  export PREFECT_SERVER_ANALYTICS_ENABLED=false
  local of=$(port)
  "$dir/prefect/bin/prefect" server start --host 127.0.0.1 --port "$of" >"$run/prefect.log" 2>&1 &
  pids+=($!)
  export PREFECT_API_URL=http://127.0.0.1:$of/api
  until curl -fs "$PREFECT_API_URL/health" >/dev/null; do sleep 0.2; done
  for _ in $(seq "$rounds"); do
    took=$("$dir/prefect/bin/python" prefect_items.py "$items" 2>"$run/prefect.err" \
      | sed -n 's/took //p')
    echo "| Prefect, its server on SQLite | $items | $took s |"
  done
}

airflow() {
  venv airflow apache-airflow==3.3.2 psycopg2-binary asyncpg
  [ -n "${pg_port:-}" ] || postgres
  export AIRFLOW_HOME=$run/airflow ITEMS=$items
  mkdir -p "$AIRFLOW_HOME/dags"
  cp airflow_items.py "$AIRFLOW_HOME/dags/"
  as_postgres "$pg/createdb" -h 127.0.0.1 -p "$pg_port" -U postgres airflow
  local at=$(port)
  local store=postgres@127.0.0.1:$pg_port/airflow
  export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=postgresql+psycopg2://$store
  export AIRFLOW__CORE__EXECUTOR=LocalExecutor AIRFLOW__CORE__LOAD_EXAMPLES=false
  export AIRFLOW__CORE__PARALLELISM=50 AIRFLOW__API__PORT=$at AIRFLOW__API__HOST=127.0.0.1
  export AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://127.0.0.1:$at/execution/
  export AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION=false AIRFLOW__API__WORKERS=1
  local of=$dir/airflow/bin/airflow
  PATH=$dir/airflow/bin:$PATH setsid "$of" standalone >"$run/airflow.log" 2>&1 &
  airflow_pid=$!
  until "$of" dags list 2>/dev/null | grep -q many; do sleep 2; done
  for _ in $(seq "$rounds"); do
    local id=run-$RANDOM state=
    began=$(date +%s.%N)
    "$of" dags trigger many --run-id "$id" >/dev/null 2>&1
    until [ "$state" = success ]; do
      sleep 1
      state=$(as_postgres "$pg/psql" -h 127.0.0.1 -p "$pg_port" -U postgres airflow -Atc \
        "select state from dag_run where run_id = '$id'")
      [ "$state" != failed ] || { tail -50 "$run/airflow.log" >&2; exit 1; }
    done
    # From what it writes itself: when the first was queued, to the end of the last.
    took=$(as_postgres "$pg/psql" -h 127.0.0.1 -p "$pg_port" -U postgres airflow -Atc \
      "select round(extract(epoch from end_date - queued_at)::numeric, 1)
       from dag_run where run_id = '$id'")
    echo "| Airflow, LocalExecutor of 50, PostgreSQL | $items | $took s |"
  done
}

items() {
  need curl
  echo "| what | items | time |"
  echo "|---|---|---|"
  prefect
  airflow
}

alerts() { # once undisturbed, and while one of the two is killed in turns
  need prometheus-alertmanager
  echo "| what | failures | kills | told | lost | twice | p50 | p99 |"
  echo "|---|---|---|---|---|---|---|---|"
  python3 alertmanager.py 500 0
  python3 alertmanager.py 600 6
  python3 alertmanager.py 1200 2
}

case $what in
queues | items | alerts) $what ;;
prefect | airflow) $what ;;
all) queues; items; alerts ;;
*) echo "usage: run.sh [queues|items|alerts]" >&2; exit 2 ;;
esac
