#!/usr/bin/env bash
# The tests of the parsers, the server and the engine under ASan+UBSan, those of the engine under TSan too.
set -euo pipefail
cd "$(dirname "$0")/.."
jobs=${1:-$(nproc)}
run() {  # run PRESET NAME...: builds and runs the named tests
  local preset=$1
  shift
  cmake --preset "$preset" -DTARE_BUILD_TESTS=ON > "build-$preset-configure.log" 2>&1 || { cat "build-$preset-configure.log"; return 1; }
  rm -f "build-$preset-configure.log"
  local known targets=() names=()
  known=$(cmake --build "build-$preset" --target help)
  for name in "$@"; do
    if grep -q "^test_$name:" <<< "$known"; then targets+=("test_$name"); names+=("$name"); else echo "no test named $name"; return 1; fi
  done
  cmake --build "build-$preset" --parallel "$jobs" --target "${targets[@]}"
  ctest --test-dir "build-$preset" --output-on-failure --parallel "$jobs" --no-tests=error -R "^($(IFS='|'; echo "${names[*]}"))$"
}
source scripts/sanitized-tests.sh
run asan "${asan_tests[@]}"
run tsan "${tsan_tests[@]}"
