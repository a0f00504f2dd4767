#!/usr/bin/env bash
# Installs the pinned official clients into a cache folder (once) and runs both against a server.
#
#   tests/e2e/clients/run.sh BASE_URL [CACHE_FOLDER] [-- --model NAME --api-key KEY]      default cache: .cache/clients
#
# Ends with 1 if a check failed, with 77 if Node is absent and the Python client passed.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ $# -lt 1 ]]; then
  echo "usage: run.sh BASE_URL [CACHE_FOLDER] [-- --model NAME --api-key KEY]" >&2
  exit 2
fi
url=$1
shift
cache=$here/../../../.cache/clients
if [[ $# -gt 0 && $1 != -- ]]; then
  cache=$1
  shift
fi
if [[ ${1:-} == -- ]]; then shift; fi
mkdir -p "$cache"

if ! cmp -s "$here/requirements.txt" "$cache/venv/requirements.txt"; then
  python3 -m venv --clear "$cache/venv"
  "$cache/venv/bin/pip" -q --disable-pip-version-check install -r "$here/requirements.txt"
  cp "$here/requirements.txt" "$cache/venv/"
fi
status=0
"$cache/venv/bin/python" "$here/openai_client_test.py" "$url" "$@" || status=1

if ! command -v npm >/dev/null; then
  echo "npm is absent: the client for Node was not run" >&2
  if [[ $status == 0 ]]; then status=77; fi
  exit "$status"
fi
mkdir -p "$cache/node"
if ! cmp -s "$here/package-lock.json" "$cache/node/installed.json"; then
  cp "$here/package.json" "$here/package-lock.json" "$cache/node/"
  npm ci --prefix "$cache/node" --silent --no-audit --no-fund
  cp "$here/package-lock.json" "$cache/node/installed.json"
fi
# Node looks for packages beside the script, so the script goes to them.
cp "$here/openai_client_test.mjs" "$cache/node/"
node "$cache/node/openai_client_test.mjs" "$url" "$@" || status=1
exit "$status"
