#!/usr/bin/env bash
# A rolling upgrade from an earlier version, built here of the commit that ci/upgrade-from names,
# to ./target/debug/cronapi (or $CRONAPI): ci/rolling-upgrade.sh. Ends with a line of counts; exits
# 77 when the clone does not have that commit. OLD=path takes that binary as the earlier version.
set -euo pipefail
cd "$(dirname "$0")/.."

new=${CRONAPI:-$PWD/target/debug/cronapi}
state=$PWD/target/ci/upgrade
if [ -z "${OLD:-}" ]; then
    commit=$(head -n 1 ci/upgrade-from)
    if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
        echo "SKIPPED upgrade: this clone does not have the commit $commit"
        exit 77
    fi
    OLD=$state/cronapi-$commit
    if [ ! -x "$OLD" ]; then
        began=$SECONDS
        rm -rf "$state"
        mkdir -p "$state/source" "$state/target"
        # With the present time: as old as the commit, nothing of it would be newer than what is
        # built of the sources of today, and that would be taken.
        git archive "$commit" | tar -x -m -C "$state/source"
        # Links to what is built already: nearly all dependencies are the same.
        if [ -d target/debug ]; then
            cp -al target/debug "$state/target/debug"
            # A lock that is a link would be one lock for both.
            find "$state/target" -name .cargo-lock -delete
            # Files of ours are told by where they were built: cargo would take the crates of
            # today for those of the old sources.
            rm -rf "$state"/target/debug/.fingerprint/cronapi* \
                "$state"/target/debug/.fingerprint/cluster-tests*
        fi
        (cd "$state/source" &&
            CARGO_TARGET_DIR=$state/target cargo build --locked --quiet --workspace \
                --features otel --bin cronapi --test tidy)
        cp "$state/target/debug/cronapi" "$OLD"
        rm -rf "$state/target"
        echo "built $commit in $((SECONDS - began)) s"
    fi
fi
[ -x "$new" ] || cargo build --quiet --bin cronapi
if timeout 240 ci/rolling-upgrade.sh "$OLD" "$new"; then
    echo "1 passed, 0 failed, 0 skipped"
else
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
