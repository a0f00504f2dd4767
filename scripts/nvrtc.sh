#!/usr/bin/env bash
# CUDA's run-time compiler for the kernels' compile tests: from an installed toolkit, else NVIDIA's PyPI wheel into the
# cache (90 MB, once). It needs no GPU.
set -euo pipefail
export PIP_ROOT_USER_ACTION=ignore
cd "$(dirname "$0")/.."
ls /usr/local/cuda*/lib64/libnvrtc.so.13 >/dev/null 2>&1 && exit 0
folder=${TARE_CACHE:-$PWD/.cache}/nvrtc-13.0
[ -e "$folder/nvidia/cu13/lib/libnvrtc.so.13" ] || echo "fetching CUDA's run-time compiler (nvidia-cuda-nvrtc from PyPI)"
jit/fetch_nvrtc.sh "$folder" >/dev/null
