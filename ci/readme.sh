#!/usr/bin/env bash
# Runs README.md as it stands there, in a folder of its own: clones the repository, installs with
# `make install`, then every line that begins with "$ ", with the blocks of YAML as jobs.yaml. The
# line `cronapi serve` is a terminal of its own; passwords that a person would type are read from
# what the nodes show. Each command must succeed (but for the one that is to be refused), and
# what the page promises must be in the answers.
#
# CRONAPI_BIN=path  takes that binary, and installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

page=$PWD/README.md top=$PWD
work=$(mktemp -d)
pid=
cleanup() {
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
    for lock in "$work"/session/*/LOCK "$work"/session/three/*/LOCK; do
        if [ -s "$lock" ]; then kill -9 "$(cat "$lock")" 2>/dev/null || true; fi
    done
    rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/bin" "$work/home" "$work/session"
commands=0

fail() {
    echo "FAILED readme: $*"
    exit 1
}

# The block of `make install`: the clone is made, and what it holds is built where the tests
# have compiled it already, without optimization.
if [ -n "${CRONAPI_BIN:-}" ]; then
    ln -s "$(realpath "$CRONAPI_BIN")" "$work/bin/cronapi"
else
    grep -q '^git clone ADDRESS cronapi' "$page" || fail "the line with git clone is gone"
    if git rev-parse --git-dir >/dev/null 2>&1; then
        git clone --quiet "$top" "$work/clone" || fail "git clone"
        [ -f "$work/clone/Makefile" ] || fail "the clone is not whole"
        commands=$((commands + 1))
    fi
    grep -q '^make install' "$page" || fail "the line with make install is gone"
    CARGO_INSTALL_ROOT=$work make --no-print-directory install ARGS="--debug --target-dir target" \
        >"$work/install" 2>&1 || { cat "$work/install"; fail "make install"; }
    commands=$((commands + 1))
fi
# What the page names: the folder of the binary, and a home.
export PATH=$work/bin:$PATH HOME=$work/home XDG_CONFIG_HOME=$work/home/.config
unset CRONAPI_SERVER CRONAPI_TOKEN CRONAPI_CONTEXT CRONAPI_ADMIN_PASSWORD CRONAPI_CLI_CONFIG
sed -n '/^```yaml$/,/^```$/{/^```/!p}' "$page" >"$work/session/jobs.yaml"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ "$(cronapi --version)" = "cronapi $version" ] || fail "cronapi --version"
cd "$work/session"

# An address of its own, as long as that of the page, so that other nodes are in nobody's way.
HOST=127.0.8.1
export CRONAPI_LISTEN=$HOST:8000 CRONAPI_CLUSTER_LISTEN=$HOST:8001

start() {
    # This shell's children must not be what the page waits for.
    cronapi serve >>"$work/out" 2>>"$work/log" &
    pid=$!
    disown "$pid"
    for _ in $(seq 300); do
        # What a person reads is there a moment after the node is ready.
        curl -sf "http://$HOST:8000/readyz" >/dev/null && grep -q '^  data ' "$work/out" && return
        sleep 0.1
    done
    cat "$work/out" "$work/log"
    fail "the node does not come up"
}

stop() {
    kill -INT "$pid"
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || { pid=; return; }
        sleep 0.1
    done
    fail "the node does not stop"
}

shown() {
    sed -n 's/.*user admin, password \([^ ]*\).*/\1/p' "$@" | head -n 1
}

answer=$work/answer
while IFS= read -r line <&3; do
    line=${line#\$ }
    line=${line//127.0.0.1/$HOST}
    commands=$((commands + 1))
    printf '$ %s\n' "$line"
    case $line in
    'cronapi serve') start; continue ;;
    # A person presses Ctrl-C before.
    'mkdir three'*) stop ;;
    *--context*) CRONAPI_PASSWORD=$(shown a.log b.log c.log) ;;
    'cronapi login'*) CRONAPI_PASSWORD=$(shown "$work/out"); line+=" --server http://$HOST:8000" ;;
    # Three nodes that started as they should have nothing to warn of either.
    'kill -9 "$(cat a/LOCK)"'*)
        if grep -hE 'WARN|ERROR' ./*.log; then fail "a normal start warns"; fi ;;
    *explain*)
        missed=$(awk '/skipped +misfire/ { print $1; exit }' "$answer")
        line="cronapi explain tick --at $missed | head -n 1" ;;
    esac
    export CRONAPI_PASSWORD=${CRONAPI_PASSWORD:-}
    case $line in
    *' &') eval "$line" 3<&- ;;
    *'"bad"'*)
        if eval "$line" >"$answer" 2>&1 3<&-; then fail "it was taken: $line"; fi ;;
    # What waits does not wait for ever.
    until*) timeout 60 bash -c "$line" >"$answer" 2>&1 3<&- || { cat ./*.log; fail "$line"; } ;;
    *) eval "$line" >"$answer" 2>&1 3<&- || { cat "$answer"; fail "$line"; } ;;
    esac
    cat "$answer"
    case $line in
    'cronapi login'*) grep -q '^logged in to ' "$answer" ;;
    *'apply -f'*) grep -q '^done: 2 created' "$answer" ;;
    *'run hello'*) grep -qx 'Hello from CronAPI!' "$answer" && grep -qx succeeded "$answer" ;;
    *'sleep 2; cronapi ledger'*) grep -q 'skipped  *misfire' "$answer" && grep -q fired "$answer" ;;
    *explain*) grep -q 'was skipped: it was missed' "$answer" ;;
    *example-job/run*) grep -q '"status":"succeeded"' "$answer" ;;
    *'"bad"'*) grep -q 'did you mean timeout' "$answer" && grep -q '^curl: (22)' "$answer" ;;
    *'get nodes') [ "$(grep -c ' yes ' "$answer")" = 2 ] && [ "$(grep -c leader "$answer")" = 1 ] ;;
    'cronapi ledger'*) [ "$(grep -c fired "$answer")" = 3 ] ;;
    esac || fail "the answer is of another kind"
done 3< <(grep '^\$ ' "$page")
[ "$commands" -ge 22 ] || fail "only $commands commands were found"
# A normal start has nothing to warn of, and says that it is ready when it can serve.
if grep -E 'WARN|ERROR' "$work/log"; then fail "a normal start warns"; fi
grep -q ready "$work/log" || fail "the node does not say that it is ready"
echo "$commands passed, 0 failed, 0 skipped"
