#!/usr/bin/env bash
# Prints where cargo puts what it builds: the default, $CARGO_TARGET_DIR or a setting of cargo's own.
set -euo pipefail
cargo metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'
