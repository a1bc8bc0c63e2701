# One image for every use: `docker build -t cronapi .`, then docs/docker.md.
#
# Dependencies are a layer of their own, which is built again only when a manifest changes.
# PROFILE=dev makes an image for trying things out, in less time.
# Exact versions: what is built tomorrow is what was built today. Raise RUST together with
# rust-toolchain.toml. A digest is stricter still: --build-arg DEBIAN=12.15-slim@sha256:…
ARG RUST=1.95.0-bookworm
ARG DEBIAN=12.15-slim
ARG NODE=20.20.2-bookworm

# The page, which `cargo build` embeds.
FROM node:${NODE} AS page
WORKDIR /src/ui
COPY ui/package.json ui/package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts
COPY openapi.json /src/
COPY ui ./
RUN npm run --silent check \
    && npx vite build --logLevel warn --outDir /out/page --emptyOutDir \
    && node compress.mjs /out/page

FROM rust:${RUST} AS build
ARG PROFILE=release
# No debug information in the image; names of functions stay, for backtraces.
ENV CARGO_PROFILE_RELEASE_DEBUG=false \
    CARGO_PROFILE_RELEASE_STRIP=debuginfo \
    CARGO_PROFILE_DEV_DEBUG=false \
    CARGO_PROFILE_DEV_STRIP=debuginfo \
    CARGO_INCREMENTAL=0
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY proto proto
COPY cluster-tests/Cargo.toml cluster-tests/
COPY cluster-tests/sim/Cargo.toml cluster-tests/sim/
COPY ui/Cargo.toml ui/build.rs ui/embed.rs ui/
COPY src/core/Cargo.toml src/core/
COPY src/raft/Cargo.toml src/raft/build.rs src/raft/
# Empty sources for every target that a manifest has, so that only the dependencies are built.
RUN mkdir -p src benches/cronapi cluster-tests/src cluster-tests/benches/cluster cluster-tests/sim/src \
    && for target in src/main benches/cronapi/main cluster-tests/benches/cluster/main cluster-tests/sim/src/main; \
       do echo 'fn main() {}' >"$target.rs"; done \
    && touch src/core.rs src/raft.rs src/lib.rs cluster-tests/src/lib.rs \
    && CRONAPI_UI=skip cargo build --locked --profile "$PROFILE" --package cronapi --bin cronapi
COPY --from=page /out/page /out/page
ENV CRONAPI_UI_DIST=/out/page
COPY docs docs
COPY src src
# Cargo goes by the age of files: what is copied may be older than the empty sources were.
RUN touch src/core.rs src/raft.rs src/lib.rs src/main.rs \
    && cargo build --locked --profile "$PROFILE" --package cronapi --bin cronapi \
    && folder=$(test "$PROFILE" = dev && echo debug || echo "$PROFILE") \
    && install -D "target/$folder/cronapi" /out/cronapi

FROM debian:${DEBIAN}
# Python for jobs, certificates for calls, tini to collect what children leave behind.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log \
    && groupadd --gid 65532 cronapi \
    && groupadd --gid 65533 cronapi-job \
    && useradd --uid 65533 --gid 65533 --home-dir /tmp --no-create-home \
       --shell /usr/sbin/nologin cronapi-job \
    && useradd --uid 65532 --gid 65532 --home-dir /var/lib/cronapi --no-create-home \
       --shell /usr/sbin/nologin cronapi \
    && install -d -o 65532 -g 65532 -m 0700 /var/lib/cronapi /run/cronapi
COPY packaging/front.py /usr/local/lib/cronapi/front.py
COPY --from=build /out/cronapi /usr/local/bin/cronapi
ARG VERSION=0.2.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="CronAPI" \
      org.opencontainers.image.description="A clustered job scheduler managed entirely over REST" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# REST on every address of the container. Other nodes are answered on its loopback address only
# until CRONAPI_CLUSTER_LISTEN says otherwise, which takes a key.
# The address of a container is never a loopback one: what TLS there is stands before it, unless
# CRONAPI_TLS_CERT and CRONAPI_TLS_KEY are given.
ENV CRONAPI_LISTEN=0.0.0.0:8000 \
    CRONAPI_ALLOW_HTTP=true \
    DATABASE_PATH=/var/lib/cronapi/state
USER 65532:65532
# Where jobs begin: they make no files beside the state.
WORKDIR /tmp
VOLUME /var/lib/cronapi
EXPOSE 8000/tcp 8001/tcp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=5s --start-period=30s --retries=3 CMD ["cronapi", "health"]
ENTRYPOINT ["tini", "--", "cronapi"]
CMD ["serve"]
