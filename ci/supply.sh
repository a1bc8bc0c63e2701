#!/usr/bin/env bash
# What dependencies may be (deny.toml), and spelling (typos.toml). Takes cargo-deny where it is
# installed, which also looks up known faults; else ci/supply.py, which does not. Ends with a line
# of counts.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0 failed=0 skipped=0
tried() {
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

if cargo deny --version >/dev/null 2>&1; then
    tried cargo-deny cargo deny --all-features check
else
    tried supply python3 ci/supply.py check
    echo "SKIPPED advisories: cargo-deny is not installed (cargo install --locked cargo-deny)"
    skipped=$((skipped + 1))
fi

typos=typos
if ! command -v typos >/dev/null; then
    venv=target/ci/typos
    mkdir -p target/ci
    if [ ! -x "$venv/bin/typos" ]; then
        rm -rf "$venv"
        python3 -m venv "$venv" &&
            "$venv/bin/pip" install --quiet --disable-pip-version-check typos==1.52.0 ||
            rm -rf "$venv"
    fi
    typos=$venv/bin/typos
fi
if command -v "$typos" >/dev/null; then
    tried typos "$typos" --format brief
else
    echo "SKIPPED typos: it can't be installed"
    skipped=$((skipped + 1))
fi
tried "bill of materials" python3 ci/supply.py sbom target/ci/sbom.json
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
