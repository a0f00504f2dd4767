#!/usr/bin/env bash
# Starts the server on the demo model from a TOML file on a free port, asks it a question, streams the answer, prints
# tokens/s and the memory ledger, and stops what it started.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
tare=$(cd "$build" && pwd)/bin/tare
cache=${TARE_CACHE:-$PWD/.cache}
config=$cache/quickstart.toml
log=$cache/quickstart.log
cat > "$config" <<TOML
[server]
listen = "127.0.0.1:0"          # 0: any free port
[[model]]
name = "smollm2-135m"
source = "models/SmolLM2-135M-Instruct.Q4_1.gguf"
context = 2048
TOML
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
cat <<TEXT

What to type next:
  $build/bin/tare serve $config                        # the same server, until Ctrl-C
  $build/bin/tare generate --model ${config%/*}/models/SmolLM2-135M-Instruct.Q4_1.gguf --prompt "Once upon a time"
  $build/bin/tare explain ${config%/*}/models/SmolLM2-135M-Instruct.Q4_1.gguf          # Program, Plan and ledger
TEXT
