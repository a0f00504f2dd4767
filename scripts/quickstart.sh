#!/usr/bin/env bash
# Packs the demo model into a bundle, tunes this machine for it within a short budget, serves the bundle from a TOML file
# on a free port, asks it a question, streams the answer, prints what was saved and the memory ledger, and stops what it
# started. Safe to repeat: the bundle and the tuning database are kept.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
tare=$(cd "$build" && pwd)/bin/tare
cache=${TARE_CACHE:-$PWD/.cache}
model=SmolLM2-135M-Instruct
source=$cache/models/$model.Q4_1.gguf
bundle=$cache/models/$model.tare
database=$cache/tuning.db
config=$cache/quickstart.toml
log=$cache/quickstart.log

echo "== pack"
if [ "$bundle" -nt "$source" ] && "$tare" verify "$bundle" >/dev/null 2>&1; then
  echo "$bundle is there and whole"
else
  "$tare" pack "$source" -o "$bundle"
fi
# What serves below: a GPU where there is one and its kernels can be compiled, else the CPU.
found=$("$tare" devices)
device=cpu
if grep -q '^cuda:0 ' <<< "$found" && grep -q '^jit: NVRTC [0-9]' <<< "$found"; then device=cuda:0; fi
echo "== tune $device (at most 45 s; what is known already is not measured again)"
"$tare" autotune "$bundle" --device $device --budget 45s --database "$database" --report "$cache/autotune.html" > "$cache/autotune.txt"
tail -1 "$cache/autotune.txt"

cat > "$config" <<TOML
[server]
listen = "127.0.0.1:0"          # 0: any free port
[device]
use = "$device"                 # left out: a GPU if there is one, else the CPU
[tuning]
database = "$database"
[[model]]
name = "smollm2-135m"
source = "$bundle"
objective = "balanced"          # latency, balanced or memory: how the layouts are chosen
context = 2048
TOML
echo "== serve"
"$tare" serve "$config" > "$log" 2>&1 &
server=$!
trap 'kill -TERM $server 2>/dev/null || true; wait $server 2>/dev/null || true' EXIT
url=""
for _ in $(seq 300); do
  kill -0 $server 2>/dev/null || { cat "$log" >&2; echo "the server ended before it was ready" >&2; exit 1; }
  url=$(sed -n 's/.*listening on \(http:[^ ]*\).*/\1/p' "$log" | head -1)
  [ -n "$url" ] && curl -fsS "$url/ready" >/dev/null 2>&1 && break
  sleep 0.1
done
[ -n "$url" ] || { cat "$log" >&2; echo "the server was not ready within 30 seconds" >&2; exit 1; }
python3 scripts/ask.py "$url" smollm2-135m "In two sentences: why do cats purr?"
echo
grep -A20 'memory ledger' "$log" | sed 's/^/  /' || true
echo
scripts/sizes.sh "$tare" "$source" "$bundle"
cat <<TEXT

What to type next:
  $build/bin/tare serve $config                        # the same server, until Ctrl-C
  $build/bin/tare explain $bundle --device $device         # which pipeline runs every matrix, and why
  $build/bin/tare inspect $bundle --html sizes.html    # entropies, codecs, savings
  $build/bin/tare autotune $bundle --device $device --database $database   # what was tried and won (also $cache/autotune.html)
TEXT
