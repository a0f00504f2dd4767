#!/usr/bin/env bash
# CUDA's driver header, with which a test compares our own declarations: from an installed toolkit, else from NVIDIA's
# PyPI wheel of the runtime into the cache (2 MB, once). Nothing else includes it.
set -euo pipefail
export PIP_ROOT_USER_ACTION=ignore
cd "$(dirname "$0")/.."
ls /usr/local/cuda*/include/cuda.h >/dev/null 2>&1 && exit 0
folder=${TARE_CACHE:-$PWD/.cache}/cuda-headers-13.0
[ -e "$folder/cuda.h" ] && exit 0
echo "fetching CUDA's driver header (nvidia-cuda-runtime from PyPI)"
mkdir -p "$folder"
fresh=$(mktemp -d "$folder/.fetch.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
python3 -m pip install --quiet --no-deps --no-compile --target "$fresh" "nvidia-cuda-runtime==13.0.96" >&2
mv "$fresh/nvidia/cu13/include/cuda.h" "$folder/cuda.h"
