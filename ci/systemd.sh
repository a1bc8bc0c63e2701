#!/usr/bin/env bash
# Checks packaging/cronapi.service with systemd's own tools, which need no running systemd. Ends
# with a line of counts; exits 77 when the tools are not there.
set -euo pipefail
cd "$(dirname "$0")/.."
# Exposure, in tenths of systemd's 0.0 to 10.0: less is better.
EXPOSURE_MAX=20

if ! command -v systemd-analyze >/dev/null; then
    echo "SKIPPED systemd: there is no systemd-analyze"
    exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
check() {
    local what=$1
    shift
    if "$@" >"$work/out" 2>&1; then
        echo "ok $what"
        passed=$((passed + 1))
    else
        echo "FAILED $what"
        cat "$work/out"
        failed=$((failed + 1))
    fi
}

# With a program that is there: what is checked is the unit.
program=$(type -P true)
sed "s|^ExecStart=[^ ]*|ExecStart=$program|" packaging/cronapi.service >"$work/cronapi.service"
verify() {
    systemd-analyze verify --man=no "$work/cronapi.service"
    # An unknown setting is only a warning, and must not stand.
    ! systemd-analyze verify --man=no "$work/cronapi.service" 2>&1 | grep -F cronapi.service
}
score() {
    systemd-analyze security --offline=true --no-pager --threshold="$1" "$work/cronapi.service"
}
check "the unit is valid" verify
check "its exposure is at most $EXPOSURE_MAX tenths" score "$EXPOSURE_MAX"
grep -h 'Overall exposure' "$work/out" || true
# The checks themselves can fail.
echo 'ProtectSytem=strict' >>"$work/cronapi.service"
if verify >/dev/null 2>&1; then mistyped=false; else mistyped=true; fi
check "a mistyped setting is found" "$mistyped"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
