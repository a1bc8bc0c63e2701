#!/usr/bin/env bash
# Checks the chart: ci/helm.py says what. Needs Python 3 and the packages that ci/helm.txt pins;
# exits 77 when they can't be installed. Ends with a line of counts.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=target/ci/helm
if [ ! -e "$venv/done" ] || ! cmp -s ci/helm.txt "$venv/done"; then
    rm -rf "$venv"
    mkdir -p target/ci
    if ! { python3 -m venv "$venv" &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r ci/helm.txt; }; then
        echo "SKIPPED helm: the packages of ci/helm.txt can't be installed"
        exit 77
    fi
    cp ci/helm.txt "$venv/done"
fi
"$venv/bin/python" ci/helm.py
