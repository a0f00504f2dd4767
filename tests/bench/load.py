#!/usr/bin/env python3
"""Seconds until a model is in memory: from its folder, its distribution bundle and serving bundles of each layout.

    python tests/bench/load.py --tare build/bin/tare --model .cache/peers/random-1b/hf --work FOLDER \\
        --rounds 3 --out docs/benchmarks/data/load-cpu.json

Folder and distribution bundle are loaded as each layout, serving bundles as they are, the last one also as the first layout;
all once a round, in turn; the files are read before, so that they lie in the page cache.
Seconds are `load_seconds` of `tare generate` (weights and executor, without planning); the tokens of all must be equal.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.stdout


def warm(path):
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        if file.is_file():
            with open(file, "rb") as f:
                while f.read(16 << 20):
                    pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("tare", "model", "work", "out"):
        parser.add_argument("--" + name, required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layouts", nargs="+", default=["dense", "w12", "w11"])
    parser.add_argument("--threads", type=int, default=0)
    o = parser.parse_args()
    o.work.mkdir(parents=True, exist_ok=True)
    sources, packing = {"folder": o.model}, []
    for name, options in [("distribution", [])] + [(f"serving {code}", ["--layout", code]) for code in o.layouts]:
        sources[name] = o.work / (name.replace(" ", "-") + ".tare")
        start = time.monotonic()
        report = json.loads(run(o.tare, "pack", o.model, "-o", sources[name], "--json", *options))
        packing.append({"bundle": name, "bytes": report["bundle_bytes"], "plain_bytes": report["plain_bytes"],
                        "seconds": round(time.monotonic() - start, 2)})
    for path in sources.values():
        warm(path)
    seconds, tokens, memory = {}, set(), {}
    for _ in range(o.rounds):
        for layout in o.layouts:
            for name, path in sources.items():
                again = name == f"serving {o.layouts[-1]}" and layout == o.layouts[0]  # of one order into another
                if name.startswith("serving") and name != f"serving {layout}" and not again:
                    continue
                out = json.loads(run(o.tare, "generate", "--model", path, "--layout", layout, "--tokens", "1,2,3",
                                     "--max-tokens", "4", "--temperature", "0", "--json", "--threads", o.threads))
                seconds.setdefault((name, layout), []).append(out["load_seconds"])
                tokens.add(tuple(out["tokens"]))
    if len(tokens) != 1:
        raise SystemExit(f"tokens differ: {tokens}")
    cpu = next(l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    version = run(o.tare, "--version").strip()
    records = [{"source": name, "as": layout, "seconds": round(statistics.median(all_), 4), "all": [round(s, 4) for s in all_],
                "copied": name == f"serving {layout}"} for (name, layout), all_ in seconds.items()]
    o.out.write_text(json.dumps({"version": version, "device": cpu, "cores": len(os.sched_getaffinity(0)),
                                 "system": platform.platform(), "model": str(o.model), "packing": packing,
                                 "records": records}, indent=1) + "\n")
    for r in records:
        print(f"{r['source']:16} as {r['as']:6} {r['seconds']:8.3f} s")


if __name__ == "__main__":
    main()
