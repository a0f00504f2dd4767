"""Packs golden models with `tare pack` and reads them with the independent reader: equal files, equal SHA-256."""
import json
import pathlib
import subprocess
import sys
import tempfile

import read_bundle


def main():
    tare, models = sys.argv[1], pathlib.Path(sys.argv[2])
    codecs = set()
    for name in ("llama-plain", "llama-f16", "llama-plain-f32"):
        with tempfile.TemporaryDirectory() as work:
            path = work + "/m.tare"
            subprocess.run([tare, "pack", str(models / name), "-o", path], check=True, stdout=subprocess.DEVNULL)
            bundle = read_bundle.Bundle(path)
            found = read_bundle.files(bundle)
            wanted = {str(p.relative_to(models / name)): p.read_bytes() for p in (models / name).rglob("*") if p.is_file()}
            assert found == wanted, f"{name}: files differ: {sorted(found) + sorted(wanted)}"
            codecs |= {(t["dtype"], t["codec"]) for t in bundle.tensors}
            data = bytearray(bundle.data)
            data[bundle.tensors[0]["stored"]["offset"] + 5] ^= 1
            bundle.data = bytes(data)
            try:
                read_bundle.files(bundle)
                raise SystemExit("a flipped bit was not found")
            except ValueError:
                pass
    # The same greedy tokens from the folder, the bundle and what is unpacked from it.
    with tempfile.TemporaryDirectory() as work:
        for name in ("llama-plain", "gemma3-plain"):
            folder, path, out = str(models / name), f"{work}/{name}.tare", f"{work}/{name}"
            subprocess.run([tare, "pack", folder, "-o", path], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([tare, "unpack", path, "-o", out], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([tare, "verify", path, "--against", folder], check=True, stdout=subprocess.DEVNULL)
            tokens = []
            for model in (folder, path, out):
                done = subprocess.run([tare, "generate", "--model", model, "--tokens", "1,2,3", "--max-tokens", "16",
                                       "--temperature", "0", "--json"], check=True, capture_output=True, text=True)
                tokens.append(json.loads(done.stdout)["tokens"])
            assert len(tokens[0]) == 16 and tokens[0] == tokens[1] == tokens[2], tokens
            subprocess.run([tare, "explain", path], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([tare, "inspect", path], check=True, stdout=subprocess.DEVNULL)
    print("read", sorted(codecs))
    assert {("BF16", 1), ("F16", 1), ("F32", 1)} <= codecs, codecs


main()
