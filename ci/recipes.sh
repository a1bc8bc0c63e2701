#!/usr/bin/env bash
# Runs docs/recipes.md as it stands there, against a node of its own: every block of YAML is taken
# by the node, those that the page names are files, and the lines that begin with "$ " are the
# commands, with the failures in them. `pg_dump` is a stand-in: this machine need not have
# PostgreSQL, and it has to fail when it is told to. Exits 77 when jq is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

page=$PWD/docs/recipes.md
bin=${CRONAPI_BIN:-$PWD/target/debug/cronapi}
command -v jq >/dev/null || { echo "SKIPPED recipes: ci/recipes.sh needs jq"; exit 77; }
[ -x "$bin" ] || cargo build --quiet
work=$(mktemp -d)
cleanup() {
    if [ -s "$work/data/LOCK" ]; then kill -9 "$(cat "$work/data/LOCK")" 2>/dev/null || true; fi
    rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/bin" "$work/home" "$work/tmp" "$work/page"
# Of a node that is root, jobs have another account.
chmod 0755 "$work" "$work/bin"
chmod 1777 "$work/tmp"
ln -s "$bin" "$work/bin/cronapi"
cat >"$work/bin/pg_dump" <<END
#!/bin/sh
echo 'create table orders (id integer);' >"\$2"
if [ -e "$work/broken" ]; then echo 'pg_dump: error: connection lost' >&2; exit 1; fi
END
chmod +x "$work/bin/pg_dump"
export PATH=$work/bin:$PATH HOME=$work/home CRONAPI_CLI_CONFIG=$work/home/config.toml
export CRONAPI_ADMIN_PASSWORD=correct-horse CRONAPI_PASSWORD=correct-horse
unset CRONAPI_SERVER CRONAPI_TOKEN CRONAPI_CONTEXT
cd "$work/page"

fail() {
    echo "FAILED recipes: $*"
    exit 1
}

# As said in the page: from here on it lets the dump fail.
break_pg_dump() { touch "$work/broken"; }

# Blocks of YAML: each is a file, of the name that stands before it, or of a number.
awk -v tmp="$work/tmp" '
    /[Aa]s `[a-z]+\.yaml`:/ { name = $0; sub(/.*[Aa]s `/, "", name); sub(/`:.*/, "", name) }
    /^```yaml$/ { inside = 1; file = name != "" ? name : "block-" ++n ".yaml"; name = ""; next }
    /^```$/ { inside = 0 }
    inside { gsub(/\/tmp/, tmp); print > file }
' "$page"
[ "$(ls ./*.yaml | wc -l)" -ge 8 ] || fail "the page has lost its definitions"

address=127.0.9.1
cronapi serve --data "$work/data" --listen $address:8000 --cluster-listen $address:8001 \
    >"$work/log" 2>&1 &
for _ in $(seq 300); do
    CRONAPI_LISTEN=$address:8000 cronapi health >/dev/null 2>&1 && break
    sleep 0.1
done
cronapi login --user admin --server http://$address:8000 >/dev/null 2>&1 ||
    { cat "$work/log"; fail login; }

passed=0
# A secret that a definition names may come later; everything else has to be right.
for file in ./*.yaml; do
    cronapi apply -f "$file" --dry-run >"$work/answer" 2>&1 || { cat "$work/answer"; fail "$file"; }
    passed=$((passed + 1))
done

while IFS= read -r line <&3; do
    line=${line#\$ }
    line=${line//\/tmp/$work/tmp}
    printf '$ %s\n' "$line"
    eval "$line" >"$work/answer" 2>&1 3<&- || { cat "$work/answer"; fail "$line"; }
    cat "$work/answer"
    says() { grep -q -- "$1" "$work/answer"; }
    case $line in
    *'run nightly-dump'*'.result'*) says '^{"bytes":[1-9]' ;;
    *'run nightly-dump'*) says 'exit code 10' ;;
    *'logs tell-team'*) says '^the dump failed: exited with status 1$' && says '^cronapi logs 01' ;;
    'gzip -t'*) says '^0$' ;;
    *'run charge'*) says "\"charged\":$([ -e "$work/charged" ] && echo false || echo true)" &&
        touch "$work/charged" ;;
    CRONAPI_FENCE*) says '^refused$' && says 'must not write' ;;
    *'--dry-run |'*) says '^name: find$' && says '^name: report$' ;;
    *crontab*'-o name') says '^find$' && says '^report$' ;;
    *'logs load'*) says '^loading .*orders.csv$' ;;
    esac || fail "the answer is of another kind: $line"
    passed=$((passed + 1))
done 3< <(grep '^\$ ' "$page")
[ "$passed" -ge 25 ] || fail "only $passed definitions and commands were found"
echo "$passed passed, 0 failed, 0 skipped"
