#!/usr/bin/env bash
# Runs all tests, the quick ones first, and says what each part took. `make test` calls it once the tools are there.
set -euo pipefail
shopt -s nullglob
cd "$(dirname "$0")/.."

started=$SECONDS
section() { printf '\n=== %s (at %d s)\n' "$1" "$((SECONDS - started))"; }

# The same packages and features everywhere: else cargo builds librdkafka once for each selection.
selection=(--locked --workspace --features replisome/crash-points)

section "building the binary under test, with crash points"
cargo build "${selection[@]}"
REPLISOME_BIN="$(tools/target-directory.sh)/debug/replisome"
export REPLISOME_BIN

section "rules of the tree"
cargo test "${selection[@]}" -q --test tidy

# The test binaries of a crate: each is a file of its `tests` folder, or a folder there with a `main.rs`.
binaries() {
  for path in "$1"/tests/*.rs "$1"/tests/*/main.rs; do
    path=${path%/main.rs}
    basename "$path" .rs
  done
}

section "unit and property tests"
cargo test "${selection[@]}" -q --lib --bins
for crate in proto common kafka controller worker cli; do
  for name in $(binaries "$crate"); do
    section "$crate: $name"
    cargo test "${selection[@]}" -q --test "$name"
  done
done

section "simulation: a hundred fleets"
cargo test "${selection[@]}" -q -p replisome-sim --test seeds -- --show-output

section "the demo"
"$REPLISOME_BIN" demo

# One binary after the other: each has two brokers of its own, and a small machine has room for them once.
for name in $(binaries tests); do
  [ "$name" = tidy ] && continue
  section "real Kafka: $name"
  # Figures are part of the result.
  cargo test "${selection[@]}" -q --test "$name" -- --show-output
done

printf '\n=== all tests passed in %d s\n' "$((SECONDS - started))"
