#!/usr/bin/env bash
# setup.sh run|test: says what is missing and installs it. System packages through apt where there is apt and the right
# to use it, else it prints the list and stops. Seconds when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?setup.sh run|test}

. /etc/os-release 2>/dev/null || true
boost=1.83
[ "${VERSION_ID:-}" = 12 ] && [ "${ID:-}" = debian ] && boost=1.81
packages=(g++ cmake ninja-build ccache pkg-config python3 python3-pip unzip curl
  "libboost$boost-dev" "libboost-json$boost-dev" "libboost-filesystem$boost-dev"
  libtomlplusplus-dev libspdlog-dev libfmt-dev libcli11-dev libhwy-dev libxxhash-dev libssl-dev libsqlite3-dev)
if [ "$kind" = test ]; then
  packages+=(doctest-dev git gcc python3-venv binutils nodejs npm)
  # Sanitizer and fuzz builds use clang 16 on Debian 12, the distribution's own elsewhere.
  if [ "$boost" = 1.81 ]; then packages+=(clang-16 libclang-rt-16-dev lld-16); else packages+=(clang lld); fi
fi
source scripts/toolchain.sh
[ -n "${CARGO:-}" ] || { if [ "$boost" = 1.81 ]; then packages+=(cargo-web rustc-web); else packages+=(cargo-1.89 rustc-1.89); fi; }

installed() {
  dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed && return
  case "$1" in  # a newer one that the user brought counts
    cmake|ninja-build|ccache|curl|git|unzip|nodejs|npm|gcc|g++) command -v "${1/ninja-build/ninja}" | sed 's/nodejs/node/' | grep -q . || { [ "$1" = nodejs ] && command -v node >/dev/null; } ;;
    python3|python3-pip) python3 -m pip --version >/dev/null 2>&1 ;;
    python3-venv) python3 -c 'import venv, ensurepip' >/dev/null 2>&1 ;;
    *) return 1 ;;
  esac
}
missing=()
for package in "${packages[@]}"; do installed "$package" || missing+=("$package"); done
if [ ${#missing[@]} -gt 0 ]; then
  echo "missing: ${missing[*]}"
  sudo=""
  [ "$(id -u)" = 0 ] || sudo="sudo -n"
  if ! command -v apt-get >/dev/null || ! $sudo true 2>/dev/null; then
    echo "please install them, for example: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  log=$(mktemp)
  if ! { $sudo apt-get update && DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "apt-get could not install: ${missing[*]} (log: $log)" >&2
    exit 1
  fi
  rm -f "$log"
  echo "installed: ${missing[*]}"
fi
source scripts/toolchain.sh
[ -n "${CARGO:-}" ] || { echo "cargo 1.87 or newer is missing: install it with rustup or your distribution's package" >&2; exit 1; }
