#!/usr/bin/env bash
# Clients generated from a live node's own OpenAPI document, in Python and TypeScript: they are
# made without a warning, pass the strictest type check, and drive the node. First the commands
# and programs of docs/clients.md as they stand there, then ci/clients/flow.py and flow.ts.
#
# Takes ./target/debug/cronapi (or $CRONAPI), Python 3.10 and Node.js 20. What they need is
# pinned in ci/clients/ and installed under target/ci/clients. Ends with a line of counts; exits
# 77 when neither language can be had.
set -euo pipefail
cd "$(dirname "$0")/.."

cronapi=$(realpath "${CRONAPI:-./target/debug/cronapi}")
pins=$PWD/ci/clients
page=$PWD/docs/clients.md
kept=$PWD/target/ci/clients
work=$(mktemp -d)
halves=()
node=
mkdir -p "$kept"
# What npm thinks of the settings of this machine is no concern of the client.
export npm_config_loglevel=error npm_config_update_notifier=false

cleanup() {
    local half
    for half in "${halves[@]}"; do kill "$half" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

stop() {
    [ -n "$node" ] || return 0
    kill "$node" 2>/dev/null || true
    wait "$node" 2>/dev/null || true
}

# A node for one language, so that neither finds what the other left. Sets url and PASSWORD.
start() {
    local port tries=0
    port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
    url=http://127.0.0.1:$port
    PASSWORD=$(python3 -c 'import secrets; print(secrets.token_hex(12))')
    export PASSWORD
    CRONAPI_ADMIN_PASSWORD=$PASSWORD "$cronapi" serve --data data --listen "127.0.0.1:$port" \
        --cluster-listen 127.0.0.1:0 >node.log 2>&1 &
    node=$!
    # A node that is up says so, one that can't start is gone.
    until curl -sf --max-time 2 "$url/readyz" >/dev/null; do
        tries=$((tries + 1))
        if [ "$tries" -gt 300 ] || ! kill -0 "$node" 2>/dev/null; then
            echo "FAILED $1: the node does not come up:"
            tail -n 50 node.log
            exit 1
        fi
        sleep 0.1
    done
}

skip() {
    echo "SKIPPED clients, $1: $2"
    exit 0
}

# Runs a step; what it says is shown when it fails, and then the language is given up.
step() {
    local name=$1 began=$SECONDS
    shift
    if "$@" >said 2>&1; then
        echo "ok $name ($((SECONDS - began)) s)"
    else
        echo "FAILED $name"
        tail -n 60 said
        exit 1
    fi
}

# A command of the page, which has nothing to warn of.
quietly() {
    eval "$1" >said.command 2>&1 || { cat said.command; return 1; }
    ! grep -iE 'warn|deprecat|unsupported|skipp|⚠' said.command
}

# An install line of the page names versions that are pinned here.
as_pinned() {
    local word
    for word in $1; do
        case $word in
        *==*) grep -qxF -- "$word" "$pins/requirements.txt" || return 1 ;;
        ?*@*) grep -qF -- "\"${word%@*}\": \"${word##*@}\"" "$pins/package.json" || return 1 ;;
        esac
    done
}

# The page's section on a language: its program is written, its commands are run.
session() {
    local language=$1 program=$2 line commands=0
    sed -n "/^\`\`\`${language,,}\$/,/^\`\`\`\$/{/^\`\`\`/d;p}" "$page" |
        sed "s#http://127.0.0.1:8000#$url#" >"$program"
    while IFS= read -r line <&3; do
        commands=$((commands + 1))
        case $line in
        "pip install "* | "npm install "*) step "$language: $line" as_pinned "$line" ;;
        *) step "$language: $line" quietly "${line//http:\/\/127.0.0.1:8000/$url}" ;;
        esac
    done 3< <(sed -n "/^## $language\$/,/^## /s/^\\\$ //p" "$page")
    step "$language: the page has its commands" [ "$commands" -ge 3 ]
}

# A flow says itself what holds.
flow() {
    if ! "$@" "$url" "$PASSWORD" 2>&1; then
        echo "FAILED $1: the flow ended early"
        exit 1
    fi
    if grep -q '"level":"ERROR"\|ERROR' node.log; then
        echo "FAILED $1: the node's log has errors:"
        grep '"level":"ERROR"\|ERROR' node.log | head -n 20
        exit 1
    fi
}

prepare_python() {
    local venv=$kept/venv
    [ ! -e "$venv/done" ] || ! cmp -s "$pins/requirements.txt" "$venv/done" || return 0
    rm -rf "$venv"
    if ! python3 -m venv "$venv" >said 2>&1; then
        rm -rf "$venv"
        # Debian keeps the module in a package of its own.
        [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || return 1
        apt-get update -qq && apt-get install -y -qq python3-venv || return 1
        python3 -m venv "$venv" || return 1
    fi
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$pins/requirements.txt" ||
        return 1
    cp "$pins/requirements.txt" "$venv/done"
}

python_client() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        skip Python "Python 3.10 or newer is needed"
    prepare_python || skip Python "the packages of ci/clients/requirements.txt can't be installed"
    PATH=$kept/venv/bin:$PATH
    cp "$pins/flow.py" "$pins/mypy.ini" .
    start Python
    session Python hello.py
    step "Python: the strictest type check" mypy flow.py hello.py
    flow python flow.py
}

prepare_typescript() {
    local npm=$kept/npm
    [ ! -e "$npm/done" ] || ! cmp -s "$pins/package-lock.json" "$npm/done" || return 0
    rm -rf "$npm"
    mkdir -p "$npm"
    cp "$pins/package.json" "$pins/package-lock.json" "$npm/"
    (cd "$npm" && npm ci --ignore-scripts --no-audit --no-fund) || return 1
    cp "$pins/package-lock.json" "$npm/done"
}

typescript_client() {
    command -v node >/dev/null && command -v npm >/dev/null &&
        node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' ||
        skip TypeScript "Node.js 20 or newer, with npm, is needed"
    prepare_typescript ||
        skip TypeScript "the packages of ci/clients/package.json can't be installed"
    cp "$pins/package.json" "$pins/tsconfig.json" "$pins/flow.ts" .
    ln -s "$kept/npm/node_modules" node_modules
    start TypeScript
    session TypeScript hello.mts
    step "TypeScript: the strictest type check" npx tsc
    flow node out/flow.js
}

# Runs a language in a folder and a shell of its own.
half() {
    (
        trap stop EXIT
        trap 'exit 130' INT TERM
        mkdir "$work/$1"
        cd "$work/$1"
        "$1_client"
    ) >"$work/$1.said" 2>&1 &
    halves+=($!)
}

half python
half typescript
ended=()
for half in "${halves[@]}"; do
    status=0
    wait "$half" || status=$?
    ended+=("$status")
done
halves=()
cat "$work/python.said" "$work/typescript.said" | tee "$work/said"

count() { grep -c "^$1 " "$work/said" || true; }
failed=$(count FAILED) skipped=$(count SKIPPED)
# A half that died without a word of why has failed too.
if [ "$failed" -eq 0 ] && [ "${ended[*]}" != "0 0" ]; then failed=1; fi
[ "$skipped" -lt 2 ] || exit 77
echo "$(count ok) passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
