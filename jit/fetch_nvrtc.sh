#!/bin/sh
# Fetches NVIDIA's run-time compiler (NVRTC 13.0) from PyPI into FOLDER (default: .cache/nvrtc-13.0 of the current folder), for machines
# without a CUDA toolkit. Does nothing when it is there already. Needs python3 with pip; about 90 MB. Prints the library's folder.
set -eu
folder=${1:-.cache/nvrtc-13.0}
version=13.0.88
library=$folder/nvidia/cu13/lib
if [ ! -e "$library/libnvrtc.so.13" ]; then
  mkdir -p "$folder"
  fresh=$(mktemp -d "$folder/.fetch.XXXXXX")
  trap 'rm -rf "$fresh"' EXIT
  python3 -m pip install --quiet --no-deps --no-compile --target "$fresh" "nvidia-cuda-nvrtc==$version" >&2
  rm -f "$fresh"/nvidia/cu13/lib/*.alt.so*   # the second build of the compiler: 114 MB that nothing opens
  if [ ! -e "$library/libnvrtc.so.13" ]; then
    rm -rf "$folder/nvidia"
    mv "$fresh/nvidia" "$folder/nvidia"
  fi
fi
echo "$library"
