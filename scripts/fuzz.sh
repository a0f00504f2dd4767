#!/usr/bin/env bash
# Builds the libFuzzer targets with clang and runs each from its corpus: a fixed number of inputs from a fixed seed, so
# that a run can be repeated (TARE_FUZZ_RUNS, 20000; at most TARE_FUZZ_SECONDS, 20). To search for longer:
# TARE_FUZZ_SEED=0 TARE_FUZZ_RUNS=-1 TARE_FUZZ_SECONDS=600 scripts/fuzz.sh
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
seconds=${TARE_FUZZ_SECONDS:-20}
runs=${TARE_FUZZ_RUNS:-20000}
seed=${TARE_FUZZ_SEED:-1}
clang=clang++-16
command -v $clang >/dev/null || clang=clang++
command -v $clang >/dev/null || { echo "clang++ is missing: run scripts/setup.sh test" >&2; exit 1; }
cmake --preset fuzz -DTARE_BUILD_TESTS=ON -DCMAKE_CXX_COMPILER=$clang -DCMAKE_C_COMPILER="${clang/++/}" > build-fuzz-configure.log 2>&1 \
  || { cat build-fuzz-configure.log; exit 1; }
rm -f build-fuzz-configure.log
targets=$(cmake --build build-fuzz --target help | sed -n 's/^\(fuzz_[a-z0-9_]*\): phony.*/\1/p')
[ -n "$targets" ] || { echo "no fuzz targets were configured" >&2; exit 1; }
cmake --build build-fuzz --parallel "$jobs" --target $targets
for target in $targets; do
  corpus=tests/fuzz/corpus/${target#fuzz_}
  scratch=build-fuzz/corpus/${target#fuzz_}
  rm -rf "$scratch"
  mkdir -p "$scratch"
  echo "== $target: $runs inputs, at most $seconds s"
  build-fuzz/fuzz/$target -runs="$runs" -seed="$seed" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 -verbosity=0 \
    -artifact_prefix=build-fuzz/ "$scratch" $([ -d "$corpus" ] && echo "$corpus")
done
