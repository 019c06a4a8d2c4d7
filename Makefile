# `make demo` and `make test` do all the set-up that they need. `make` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Debian keeps mosquitto where an ordinary user's PATH does not look, and rustup puts cargo where make's PATH may not.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin

# Arguments for the demo, as in: make demo DEMO=--once
DEMO ?=

# How many seeds the torture takes, as in: make torture SEEDS=5
SEEDS ?= 1

# How often each fuzz target runs, as in: make fuzz RUNS=1000000
RUNS ?= 10000000

.PHONY: help setup demo test test-long torture bench fuzz

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: ## Install PostgreSQL, mosquitto and Alertmanager when they are missing (Debian, Ubuntu)
	@deploy/install-servers.sh

demo: setup ## Run a plant, a gateway and the centre here; Ctrl-C stops all (make demo DEMO=--once ends by itself)
	@echo "demo: building (without optimisation: that starts soonest)"
	@cargo build --locked --bin cems
	@echo "demo: cems demo $(DEMO)"
	@exec cargo run --quiet --locked --bin cems -- demo $(DEMO)

test: setup ## Format, lints, all tests, docs, licences
	@echo "test: cargo fmt --check"
	@cargo fmt --check
	@echo "test: cargo clippy, warnings are errors"
	@cargo clippy --locked --all-targets -- -D warnings
	@cargo clippy --quiet --locked --test torture -- -D warnings
	@if cargo nextest --version >/dev/null 2>&1; then \
		echo "test: cargo nextest, beside a private PostgreSQL and mosquitto"; \
		cargo run --quiet --locked --example with_servers -- cargo nextest run --locked --no-fail-fast; \
	else \
		echo "test: cargo test, beside a private PostgreSQL and mosquitto (cargo-nextest is not installed)"; \
		cargo run --quiet --locked --example with_servers -- cargo test --locked --all-targets --no-fail-fast; \
	fi
	@echo "test: cargo doc, warnings are errors"
	@RUSTDOCFLAGS="-D warnings" cargo doc --quiet --locked --no-deps
	@if cargo deny --version >/dev/null 2>&1; then \
		echo "test: cargo deny, offline checks"; \
		cargo deny --offline --locked check bans licenses sources; \
	else \
		echo "test: cargo-deny is not installed; licences and sources of dependencies were not checked"; \
	fi
	@echo "test: all passed"

test-long: setup ## A million random windows, hours of quarters and polls with late answers (about half an hour)
	@echo "test-long: 1,000,000 random windows and as many hours of quarters against the independent oracle"
	@CEMS_ORACLE_WINDOWS=1000000 cargo run --quiet --locked --example with_servers -- cargo test --locked --test it oracle -- --nocapture
	@echo "test-long: 1,000,000 polls over TCP and 100,000 on RTU lines with 5 % late answers, sixteen analysers for seven minutes"
	@CEMS_LATE_POLLS_TCP=1000000 CEMS_LATE_POLLS_RTU=100000 CEMS_ISOLATION_SECONDS=420 cargo run --quiet --locked --example with_servers -- \
		cargo test --locked --test it -- --nocapture --test-threads 1 late_answers_ three_that_misbehave

fuzz: ## Any bytes as Modbus frames and registers, RUNS times each (needs cargo-fuzz: cargo install cargo-fuzz)
	@for target in frame register; do \
		echo "fuzz: $$target, $(RUNS) runs"; \
		(cd fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none $$target -- -runs=$(RUNS) -print_final_stats=1) || exit 1; \
	done

torture: setup ## Kills, power cuts, partitions, full disks at random moments; SEEDS=n for more seeds (15 minutes each, at one)
	@echo "torture: building"
	@SEEDS="$(SEEDS)" cargo test --quiet --locked --test torture

bench: ## Speed and memory, optimised build
	@echo "bench: building with optimisation"
	@mkdir -p target && rm -f target/bench.json
	@cargo bench --locked --bench replay --bench spool --bench verify --bench storage --bench hour
	@cargo bench --locked --bench gateway
	@cargo bench --locked --bench ingest
	@echo "bench: the table is in target/bench.json too; what it means: docs/performance.md"
