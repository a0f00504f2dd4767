#!/usr/bin/env bash
# sizes.sh TARE SOURCE BUNDLE: what was downloaded, what it became, what it takes now, and what a model whose weights were
# BF16 all along saves, packed here and now from made-up weights that look trained.
set -euo pipefail
tare=$1 source=$2 bundle=$3
work=$(mktemp -d "$(dirname "$bundle")/.sizes-XXXXXX")
trap 'rm -rf "$work"' EXIT
"$tare" synth smollm2-135m -o "$work/true" >/dev/null
"$tare" pack "$work/true" -o "$work/true.tare" >/dev/null
python3 - "$source" "$bundle" "$work" "$tare" <<'PY'
import json, os, subprocess, sys
source, bundle, work, tare = sys.argv[1:5]
mib = lambda n: f"{n / 2**20:7.1f} MiB"
def inspected(path):
    return json.loads(subprocess.run([tare, "inspect", path, "--json"], check=True, capture_output=True).stdout)
def weights(report):
    return report["presented_bytes"], report["stored_bytes"]
plain, stored = weights(inspected(bundle))
true_plain, true_stored = weights(inspected(work + "/true.tare"))
print("what it takes")
print(f"  download            {mib(os.path.getsize(source))}   4-bit numbers: rounded by whoever made the file, not by Tare")
print(f"  expanded to BF16    {mib(plain)}   what a server without a 4-bit kernel holds")
print(f"  this bundle         {mib(os.path.getsize(bundle))}   {100 * stored / plain:.1f} % of the expansion, every bit of it recoverable")
print(f"A model that was BF16 all along packs to {100 * true_stored / true_plain:.1f} % (weights made up to look trained).")
PY
