#!/usr/bin/env bash
# The page in a real browser, against three real nodes. Ends with a line of counts; exits 77, and
# says why, where there is no Node.js or no browser to be had.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    printf 'SKIPPED page: %s\n' "$1"
    exit 77
}

command -v node >/dev/null || skip "there is no node on the PATH"
for name in chromium chromium-browser google-chrome; do
    CHROMIUM=${CHROMIUM:-$(command -v "$name" || true)}
done
if [ -z "$CHROMIUM" ] && [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq >/dev/null &&
        apt-get install -y -qq --no-install-recommends chromium >/dev/null || true
    CHROMIUM=$(command -v chromium || true)
fi
[ -n "$CHROMIUM" ] || skip "there is no Chromium on the PATH, and none can be installed"
export CHROMIUM

program=${1:-target/debug/cronapi}
# With the page, as Node.js is there. The one that `make test` has built will do.
[ -x "$program" ] || cargo build --quiet --bin cronapi
# What the docs show of the page can still be made.
node ui/e2e/pictures.mjs "$program" - check
node ui/e2e/page.mjs "$program"
