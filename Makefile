# What a person runs; .ci/run runs the same. `check` never writes to the tree, `fix` does.

.PHONY: run install test check check-format check-lints check-docs fix bench bench-cluster bench-peers schemathesis soak measure \
	sim sim-one sim-build fuzz release supply

# Features beside the default ones: FEATURES=otel.
with = $(if $(FEATURES),--features $(FEATURES))

run: ## A node on 127.0.0.1:8000
	cargo run -- serve

install: ## Puts cronapi into ~/.cargo/bin; ARGS="--root /usr/local" for another place
	cargo install --locked --path . --bin cronapi $(ARGS)

test: ## Every test; FEATURES=otel with spans, too
	cargo test --workspace --no-fail-fast $(with)

check: check-format check-lints check-docs ## Writes nothing

check-format:
	cargo fmt --all -- --check

check-lints:
	cargo clippy --workspace --all-targets -- -D warnings

check-docs:
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

fix: ## Format, and what clippy can mend
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	cargo fmt --all

bench: ## What a node does in a second; PART="writes fires" for some of it
	cargo bench --bench cronapi -- $(PART)

bench-cluster: ## What three nodes do, beside etcd; PART="writes failover" for some, FULL=1 for figures
	cargo build --release
	cargo bench -p cluster-tests --bench cluster -- $(if $(FULL),--full) $(PART)

bench-peers: ## What others do with the same work: BullMQ, Prefect, Alertmanager and more; PART=queues, items, alerts
	benches/peers/run.sh $(PART)

fuzz: ## Bent bytes for every parser of foreign ones; SECONDS=600 TARGET=backup SEED=7
	FUZZ_SECONDS=$(or $(SECONDS),60) FUZZ_SEED=$(or $(SEED),20261128) \
		cargo test --test fuzz -- --nocapture $(TARGET)

supply: ## Licences, bans and sources of dependencies; spelling
	ci/supply.sh

release: ## A tarball, a Debian package, checksums and a bill of materials; CLEAN_ROOT=dir tries them there
	packaging/release.sh

schemathesis: ## Requests made from the OpenAPI document, against a running node
	ci/schemathesis.sh

soak: ## Load and faults on real processes; ARGS="--minutes 60 --nemesis mix --seed 1"
	cargo build --release
	cargo run --release -p cluster-tests --bin soak -- $(ARGS)

measure: ## Figures of three nodes, as rows of tables; ARGS="failover --kills 10", ARGS=memory
	cargo build --release --bins -p cronapi -p cluster-tests
	cargo run --release -p cluster-tests --bin measure -- $(ARGS)

# Our own code optimized: it takes minutes to build, which pays for long runs only.
OPTIMIZED ?=
SEEDS ?= 200
FROM ?= 1

sim: sim-build ## Whole clusters on virtual time; SEEDS=200 FROM=1 ARGS="--check" OPTIMIZED=1
	target/debug/cronapi-sim many --seeds $(SEEDS) --from $(FROM) $(ARGS)

sim-one: sim-build ## One of them again, with its trace; SEED=7
	target/debug/cronapi-sim one --seed $(SEED) --trace target/$(SEED).trace $(ARGS)

# With a test: only so are dependencies as the tests have built them.
sim-build:
	cargo build --workspace --bin cronapi-sim --test tidy $(with) $(if $(OPTIMIZED), \
		--config profile.dev.package.cronapi.opt-level=1 \
		--config profile.dev.package.cronapi-sim.opt-level=1)
