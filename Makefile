# `make run` and `make test` are all a newcomer needs.
CARGO ?= cargo
# The profile that tests build with: quick to build, digests optimised.
BINARY = target/debug/blobfish
PYTHON = tests/.venv/bin/python
# The lists of dependencies are checked before the suites' own Python is installed; tomllib needs 3.11.
PYTHON3 = $(shell command -v python3.11 || command -v python3)
export SECONDS_EACH TARGETS

.PHONY: run test lint deny unit clients bench bench-copy fuzz long clean tools

## What building needs beside Rust; installed where it is missing and apt-get is there.
tools:
	@bash tests/tools.sh

## Starts the demo: every dialect on 127.0.0.1:9000, an embedded store behind it.
run: tools
	$(CARGO) run --release --bin blobfish

## Everything: unit, vector, case and property tests, then real SDKs against real servers.
test: tools
	bash tests/all.sh

## `--examples` gives cargo doc the features that clippy has, so that no dependency is compiled a second time.
lint: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --lib --bins --examples --quiet
	$(PYTHON3) tests/dependencies.py

## Licences, sources and duplicate versions of dependencies by cargo-deny, which is installed where it is missing.
deny:
	command -v cargo-deny >/dev/null || $(CARGO) install --locked cargo-deny
	cargo-deny check licenses bans sources

## Only what needs neither Python nor Node.
unit: tools
	$(CARGO) test --workspace

## Only the SDKs, for one target or client: make clients ARGS="--targets cos --clients boto3"
clients: $(BINARY)
	bash tests/setup.sh
	$(PYTHON) tests/clients/run.py --binary $(BINARY) $(ARGS)

$(BINARY): tools
	$(CARGO) build --bin blobfish

## Speed and cost of every kind of request, beside nginx, HAProxy, Envoy and rclone: make bench ARGS="--only get,put --json FILE"
bench: tools
	bash tests/bench/setup.sh
	$(CARGO) build --release --bin blobfish
	tests/bench/.venv/bin/python tests/bench/bench.py --binary target/release/blobfish $(ARGS)

## Speed and cost of copies between two targets, beside rclone's, also with SeaweedFS as the destination.
bench-copy: tools
	bash tests/setup.sh
	$(CARGO) build --release --bin blobfish
	$(PYTHON) tests/clients/bench_copy.py --binary target/release/blobfish $(ARGS)

## Fuzzing of everything that reads untrusted bytes (fuzz/README.md): make fuzz SECONDS_EACH=600 TARGETS="authentication xml"
fuzz: tools
	bash tests/fuzz.sh

## The long forms of the suites: larger bodies, more cases.
long:
	PROPTEST_CASES=20000 $(CARGO) test --workspace
	bash tests/setup.sh
	$(PYTHON) tests/clients/run.py --binary $(BINARY) --long
	$(PYTHON) tests/clients/day.py --binary $(BINARY) --long
	$(PYTHON) tests/clients/copies.py --binary $(BINARY) --long
	$(PYTHON) tests/clients/small_parts.py --binary $(BINARY) --long
	$(PYTHON) tests/clients/applications.py --binary $(BINARY) --long

clean:
	$(CARGO) clean
	rm -rf fuzz/target fuzz/corpus fuzz/artifacts
	rm -rf tests/.venv tests/bench/.venv tests/bench/.tools tests/clients/node/node_modules tests/deploy/node/node_modules tests/deploy/.tools
