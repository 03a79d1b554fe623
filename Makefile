# Everything a user or a developer runs. `make help` lists it.
#
# check never writes to the tree; fix does. Each target sets up the tools it needs first (tools/setup.sh).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: demo test chaos bugs bench-control check fix help

# rustup puts its programs here, and the shell that has just run it does not know yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)
# librdkafka's build asks for a C++ compiler and compiles nothing with it: the C driver will do.
ifeq ($(shell command -v c++),)
export CXX := $(or $(shell command -v g++),gcc)
endif

demo: ## the main job on embedded brokers, without Docker or Java
	@tools/setup.sh build
	@cargo build --release -p replisome
	@target_directory=$$(tools/target-directory.sh) && "$$target_directory/release/replisome" demo

test: ## every test level that fits: unit and property tests, then real Kafka
	@tools/setup.sh test
	@tools/test.sh

chaos: ## kills, cuts and freezes on real Kafka, three minutes; SCENARIOS=all for everything, hours
	@tools/setup.sh test
	@tools/chaos.sh $(SCENARIOS)

# The same packages and features as the tests, so that only what holds a bug is built anew.
bugs: ## plants known bugs and says after how many simulated fleets each is found
	@tools/setup.sh build
	@cargo build --locked --workspace --features replisome/crash-points,replisome-sim/bugs
	@target_directory=$$(tools/target-directory.sh) && "$$target_directory/debug/replisome-sim" --bugs

bench-control: ## how the controllers carry 1,000 workers and 100,000 partitions, with gates; ARGS=--json for programs
	@tools/setup.sh build
	@cargo run --release -q --locked -p replisome-scale -- $(ARGS)

check: ## formatting and lints; writes nothing
	@tools/setup.sh build
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

fix: ## formats, and mends what the lints can mend
	@tools/setup.sh build
	@cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	@cargo fmt --all

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
