#!/usr/bin/env bash
# Builds llama.cpp, the CPU peer of our benchmarks, with this machine's native options, or for AVX2 alone.
# The source is the copy inside the PyPI source package llama-cpp-python (version and SHA-256 pinned below).
#
#   tests/bench/peers/build_llama_cpp.sh [CACHE_FOLDER]      default: .cache/peers in the repository
#
# Leaves CACHE_FOLDER/llama.cpp/bin/{llama-bench,llama-simple,peer-logits,peer-tokenize} and CACHE_FOLDER/llama.cpp/BUILD_INFO.
# Safe to repeat: does nothing when the pinned version is already built. JOBS=N sets the number of compile jobs (1).
# INSTRUCTIONS=avx2 builds what a CPU with AVX2, FMA, F16C and BMI2 and nothing newer would run, into
# CACHE_FOLDER/llama.cpp-avx2, to be measured against `tare` on the device cpu:avx2.
set -euo pipefail

readonly VERSION=0.3.36
readonly SHA256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
readonly JOBS=${JOBS:-1}
readonly INSTRUCTIONS=${INSTRUCTIONS:-native}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${1:-$here/../../../.cache/peers}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
archive=$cache/llama_cpp_python-$VERSION.tar.gz
source=$cache/llama_cpp_python-$VERSION/vendor/llama.cpp
build=$cache/build-llama.cpp
out=$cache/llama.cpp
case $INSTRUCTIONS in
  native) instructions=(-DGGML_NATIVE=ON) ;;
  avx2)
    build+=-avx2 out+=-avx2
    instructions=(-DGGML_NATIVE=OFF -DGGML_SSE42=ON -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON
      -DGGML_BMI2=ON)
    ;;
  *) echo "INSTRUCTIONS is '$INSTRUCTIONS', expected native or avx2" >&2 && exit 1 ;;
esac

say() { printf 'peers: %s\n' "$*" >&2; }

get_source() {
  if [[ ! -f $archive ]]; then
    say "getting llama-cpp-python $VERSION from PyPI"
    # pip insists on the build backend's metadata before it saves a source package, hence the throw-away environment.
    python3 -m venv "$cache/venv-download"
    "$cache/venv-download/bin/pip" -q install scikit-build-core pathspec
    "$cache/venv-download/bin/pip" -q download --no-deps --no-binary :all: --no-build-isolation \
      -d "$cache" "llama-cpp-python==$VERSION"
  fi
  local found
  found=$(sha256sum "$archive" | cut -d' ' -f1)
  if [[ $found != "$SHA256" ]]; then
    say "$archive has SHA-256 $found, expected $SHA256; remove it and try again"
    exit 1
  fi
  [[ -d $source ]] || tar -xzf "$archive" -C "$cache"
}

build_source() {
  local generator=()
  if command -v ninja >/dev/null; then generator=(-G Ninja); fi
  cmake -S "$source" -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release "${instructions[@]}" -DBUILD_SHARED_LIBS=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_UI=OFF -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF \
    -DLLAMA_BUILD_EXAMPLES=ON -DLLAMA_BUILD_TOOLS=ON >"$cache/cmake.log" 2>&1 || { tail -30 "$cache/cmake.log" >&2; exit 1; }
  say "building with $JOBS job(s), log in $cache/build.log"
  nice cmake --build "$build" -j "$JOBS" --target llama-bench llama-simple >"$cache/build.log" 2>&1 ||
    { tail -30 "$cache/build.log" >&2; exit 1; }
}

# build_ours SOURCE PROGRAM: one of our own programs over libllama.
build_ours() {
  local libraries
  libraries=$(find "$build" -name 'libllama.a' -o -name 'libggml*.a' | tr '\n' ' ')
  # shellcheck disable=SC2086  # the list of libraries is meant to split
  g++ -O2 -std=c++17 -I"$source/include" -I"$source/ggml/include" "$1" \
    -Wl,--start-group $libraries -Wl,--end-group -fopenmp -lpthread -ldl -o "$2"
}

get_source
mkdir -p "$out/bin"
if [[ ! -x $out/bin/llama-bench ]] || ! grep -q "^version=$VERSION$" "$out/BUILD_INFO" 2>/dev/null; then
  build_source
  cp "$build/bin/llama-bench" "$build/bin/llama-simple" "$out/bin/"
  {
    echo "version=$VERSION"
    echo "sha256=$SHA256"
    echo "compiler=$(c++ --version | head -1)"
    echo "options=Release ${instructions[*]#-D} static"
  } >"$out/BUILD_INFO"
fi
for name in logits tokenize; do
  program=$here/peer_$name.cpp
  if [[ $program -nt $out/bin/peer-$name ]]; then build_ours "$program" "$out/bin/peer-$name"; fi
done
say "ready: $out/bin"
