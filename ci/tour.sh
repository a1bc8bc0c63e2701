#!/usr/bin/env bash
# Runs docs/tour.md as it stands there, in a folder of its own and at addresses of its own: its
# block of YAML is jobs.yaml, and the lines that begin with "$ " are the commands. Each must
# succeed, and what the page promises must be in the answers. Exits 77 when jq is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

page=$PWD/docs/tour.md
bin=${CRONAPI_BIN:-$PWD/target/debug/cronapi}
command -v jq >/dev/null || { echo "ci/tour.sh needs jq"; exit 77; }
[ -x "$bin" ] || cargo build --quiet
work=$(mktemp -d)
cleanup() {
    for lock in "$work"/*/LOCK; do
        if [ -s "$lock" ]; then kill -9 "$(cat "$lock")" 2>/dev/null || true; fi
    done
    rm -rf "$work"
}
trap cleanup EXIT
mkdir "$work/bin" "$work/home"
ln -s "$bin" "$work/bin/cronapi"
export PATH=$work/bin:$PATH HOME=$work/home CRONAPI_CLI_CONFIG=$work/home/config.toml
sed -n '/^```yaml$/,/^```$/{/^```/!p}' "$page" >"$work/jobs.yaml"
cd "$work"

commands=0
while IFS= read -r line <&3; do
    line=${line#\$ }
    # As long as the page's own, which the page counts on.
    line=${line//127.0.0./127.0.7.}
    commands=$((commands + 1))
    printf '$ %s\n' "$line"
    case $line in
    *' &') eval "$line" 3<&- ;;
    *) eval "$line" >answer 2>&1 3<&- || { echo "FAILED: $line"; cat answer; exit 1; } ;;
    esac
    cat answer
    case $line in
    *'run import'*) grep -qx 'attempt 2' answer && grep -qx 'succeeded' answer ;;
    *'logs report'*) grep -qx 'all is well' answer ;;
    *'runs import'*) grep -qx '\["failed","succeeded"\]' answer ;;
    *bad.json*) grep -q 'did you mean timeout' answer && grep -q '61 is outside 0-59' answer ;;
    *audit-fires) grep -q '^sound: .* 2 other nodes$' answer ;;
    *doctor*) grep -q ' 0 faults' answer ;;
    *'--until'*) grep -q 'skipped  *restored' answer && grep -q fired answer ;;
    *explain*) grep -q 'restored from a backup' answer ;;
    esac || { echo "FAILED: the answer is of another kind"; exit 1; }
done 3< <(grep '^\$ ' "$page")
[ "$commands" -ge 25 ] || { echo "FAILED: only $commands commands were found"; exit 1; }
echo "$commands passed, 0 failed, 0 skipped"
