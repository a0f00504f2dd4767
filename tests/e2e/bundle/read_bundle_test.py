"""Packs golden models with `tare pack` and reads them with the independent reader: equal files, equal SHA-256."""
import json
import pathlib
import subprocess
import sys
import tempfile

import read_bundle


def run(*command, fails=False):
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode != 0) == fails, (command, done.stdout, done.stderr)
    return done.stderr if fails else done.stdout


def serving_bundles(tare, models):
    """Bundles as a device has them: the page's reader finds every weight, and all commands know what they are."""
    folder = models / "llama-gqa"
    with tempfile.TemporaryDirectory() as work:
        path = work + "/serving.tare"
        greedy = ["--tokens", "1,2,3", "--max-tokens", "16", "--temperature", "0", "--json"]
        wanted = json.loads(run(tare, "generate", "--model", str(folder), *greedy))["tokens"]
        for layout, device in (("w12", "cpu"), ("w11", "cpu"), ("dense", "cpu"), ("auto", "cpu"), ("w12", "cuda")):
            run(tare, "pack", str(folder), "--layout", layout, "--device", device, "-o", path)
            bundle = read_bundle.Bundle(path)
            assert bundle.info["laid out for"].startswith(device), bundle.info
            found = read_bundle.files(bundle)
            assert found["config.json"] == (folder / "config.json").read_bytes()
            assert not any(name.endswith(".safetensors") for name in found), sorted(found)
            for t in bundle.tensors:
                assert t["codec"] == 2 and t["version"] == 1 and t["file"] == 0xffffffff, t
                assert len(b"".join(bundle.pieces(t["stored"]))) == t["stored"]["bytes"]
                if t["layout"] == "dense/rows":
                    bundle.plain(t)  # its SHA-256 is that of the plain numbers
            assert json.loads(run(tare, "generate", "--model", path, *greedy))["tokens"] == wanted, layout
            run(tare, "verify", path, "--against", str(folder))
        assert "weights are copied as they lie in the bundle, the others are laid out again" in run(tare, "explain", path)
        assert "is a serving bundle for cuda" in run(tare, "inspect", path)
        assert "is a serving bundle" in run(tare, "unpack", path, "-o", work + "/out", fails=True)
        run(tare, "pack", path, "--layout", "w11", "-o", work + "/again.tare")
        explained = json.loads(run(tare, "explain", work + "/again.tare", "--json"))
        assert explained["stored_weights"] == explained["copied_weights"] == len(bundle.tensors), explained["copied_weights"]
        assert "expected one of" in run(tare, "pack", str(folder), "--device", "abacus", "-o", path, fails=True)


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
    serving_bundles(tare, models)
    print("read", sorted(codecs))
    assert {("BF16", 1), ("F16", 1), ("F32", 1)} <= codecs, codecs


main()
