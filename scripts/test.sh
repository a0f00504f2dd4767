#!/usr/bin/env bash
# Every test of a build tree, ending with ctest's summary. Labels: unit contract compile golden e2e gpu.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
jobs=${2:-$(nproc)}
source scripts/toolchain.sh
export TARE_DEMO_MODEL=${TARE_CACHE:-$PWD/.cache}/models/SmolLM2-135M-Instruct.Q4_1.gguf
ctest --test-dir "$build" --output-on-failure --parallel "$jobs" --no-tests=error
