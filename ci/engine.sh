#!/usr/bin/env bash
# A Docker engine, and images, on a machine that has none: for ci/docker.sh.
#
#   ci/engine.sh install           the engine from Debian; needs root
#   ci/engine.sh up DIR            starts one that keeps its data in DIR; prints its DOCKER_HOST
#   ci/engine.sh down DIR          stops it
#   ci/engine.sh base debian rust  makes the images that the Dockerfile begins with of what this
#                                  machine has, for when no registry of images can be reached;
#                                  so node, and redis, which is that of docker-compose.yml
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
debian_tag=debian:$(sed -n 's/^ARG DEBIAN=//p' "$top/Dockerfile")
rust_tag=rust:$(sed -n 's/^ARG RUST=//p' "$top/Dockerfile")
node_tag=node:$(sed -n 's/^ARG NODE=//p' "$top/Dockerfile")
redis_tag=$(sed -n 's/^ *image: \(redis:.*\)$/\1/p' "$top/docker-compose.yml")

say() { printf 'engine: %s\n' "$*" >&2; }

install() {
    apt-get update -qq >/dev/null
    apt-get install -y -qq --no-install-recommends docker.io iptables debootstrap >/dev/null
}

up() {
    mkdir -p "$1"
    local dir
    dir=$(realpath "$1")
    # A socket's path has 108 bytes at most.
    local socket=/run/cronapi-ci-$$.sock
    setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" \
        --host "unix://$socket" >"$dir/log" 2>&1 </dev/null &
    for _ in $(seq 300); do
        if DOCKER_HOST=unix://$socket docker version >/dev/null 2>&1; then
            echo "$socket" >"$dir/socket"
            echo "unix://$socket"
            return
        fi
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    tail -n 5 "$dir/log" >&2
    return 1
}

down() {
    local pid
    pid=$(cat "$1/pid" 2>/dev/null) || return 0
    kill "$pid" 2>/dev/null || return 0
    for _ in $(seq 300); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    rm -f "$(cat "$1/socket")"
}

# The mirror that this machine's own apt uses for a suite.
mirror() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME)' |
        awk -v suite="$1" '$2 == suite { print $1; exit }'
}

debian() {
    local root=$work/root
    debootstrap --variant=minbase bookworm "$root" "$(mirror bookworm)" >"$work/log" 2>&1 ||
        { tail -n 20 "$work/log" >&2; return 1; }
    for suite in bookworm bookworm-updates bookworm-security; do
        local at
        at=$(mirror "$suite")
        if [ -n "$at" ]; then echo "deb $at $suite main"; fi
    done >"$root/etc/apt/sources.list"
    printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-include /usr/share/doc/*/copyright' \
        'path-exclude /usr/share/man/*' 'path-exclude /usr/share/locale/*' \
        >"$root/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/*.log \
        "$root"/usr/share/{man,locale,info}/* "$root"/dev/* "$root"/etc/{hostname,resolv.conf}
    find "$root/usr/share/doc" -mindepth 2 ! -name copyright -delete 2>/dev/null || true
    tar -C "$root" --numeric-owner -c . |
        docker import -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
            -c 'CMD ["bash"]' - "$debian_tag" >/dev/null
    rm -rf "$root"
}

rust() {
    mkdir -p "$work/context/ca" "$work/context/rust"
    local chain
    chain=$(rustc --print sysroot)
    cp -a "$chain/bin" "$chain/lib" "$chain/libexec" "$work/context/rust/"
    # What this machine trusts, for the downloads of the build; no part of what is built.
    cp /usr/local/share/ca-certificates/*.crt "$work/context/ca/" 2>/dev/null || true
    cat >"$work/context/Dockerfile" <<END
FROM $debian_tag
RUN apt-get update \\
    && apt-get install -y --no-install-recommends gcc libc6-dev ca-certificates \\
    && rm -rf /var/lib/apt/lists/*
COPY ca/ /usr/local/share/ca-certificates/
RUN update-ca-certificates
COPY rust/ /usr/local/
ENV CARGO_HOME=/usr/local/cargo
END
    DOCKER_BUILDKIT=0 docker build -q -t "$rust_tag" "$work/context" >/dev/null 2>"$work/log" ||
        { tail -n 20 "$work/log" >&2; return 1; }
}

node() {
    mkdir -p "$work/context/ca" "$work/context/node/bin" "$work/context/node/lib/node_modules"
    local home
    home=$(dirname "$(dirname "$(realpath "$(command -v node)")")")
    cp -L "$home/bin/node" "$work/context/node/bin/"
    cp -a "$home/lib/node_modules/npm" "$work/context/node/lib/node_modules/"
    cp /usr/local/share/ca-certificates/*.crt "$work/context/ca/" 2>/dev/null || true
    cp "$(npm config get userconfig)" "$work/context/npmrc" 2>/dev/null || : >"$work/context/npmrc"
    cat >"$work/context/Dockerfile" <<END
FROM $debian_tag
RUN apt-get update \\
    && apt-get install -y --no-install-recommends ca-certificates libatomic1 libstdc++6 \\
    && rm -rf /var/lib/apt/lists/*
COPY ca/ /usr/local/share/ca-certificates/
RUN update-ca-certificates
COPY node/ /usr/local/
COPY npmrc /usr/local/etc/npmrc
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm \\
    && ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
END
    DOCKER_BUILDKIT=0 docker build -q -t "$node_tag" "$work/context" \
        >/dev/null 2>"$work/log" ||
        { tail -n 20 "$work/log" >&2; return 1; }
}

redis() {
    mkdir -p "$work/context"
    cat >"$work/context/Dockerfile" <<END
FROM $debian_tag
RUN apt-get update \\
    && apt-get install -y --no-install-recommends redis-server \\
    && rm -rf /var/lib/apt/lists/*
WORKDIR /data
END
    DOCKER_BUILDKIT=0 docker build -q -t "$redis_tag" "$work/context" \
        >/dev/null 2>"$work/log" ||
        { tail -n 20 "$work/log" >&2; return 1; }
}

# Makes the images that are neither here nor to be had from a registry.
base() {
    declare -A tags=([debian]=$debian_tag [rust]=$rust_tag [node]=$node_tag [redis]=$redis_tag)
    for name in "$@"; do
        local tag=${tags[$name]}
        if docker image inspect "$tag" >/dev/null 2>&1; then continue; fi
        if timeout 60 docker pull -q "$tag" >/dev/null 2>&1; then continue; fi
        work=$(mktemp -d)
        trap 'rm -rf "$work"' EXIT
        local began=$SECONDS
        "$name"
        rm -rf "$work"
        say "made $tag in $((SECONDS - began)) s"
    done
}

command=${1:-}
case $command in
install | up | down | base) shift && "$command" "$@" ;;
*) sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
