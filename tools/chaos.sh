#!/usr/bin/env bash
# Builds the binary under test and does trouble to it. Takes names of scenarios. `make chaos` calls it once the tools are there.
set -euo pipefail
cd "$(dirname "$0")/.."

# The same packages and features as the tests: else cargo builds librdkafka once more.
cargo build --locked --workspace --features replisome/crash-points
target_directory=$(tools/target-directory.sh)
REPLISOME_BIN="$target_directory/debug/replisome" exec "$target_directory/debug/replisome-chaos" "$@"
