#!/usr/bin/env python3
"""What pack, unpack and verify cost on one core, by CPU time and by the clock; programs that are named alternate.

    tare synth llama-3.2-1b --layers 6 -o M
    python tests/bench/codec/pack_cost.py M --work FOLDER --tare before=OLD/bin/tare after=build/bin/tare \\
        --out docs/benchmarks/data/pack-cost.json

--work is a folder on the disk that is to be written; the bundle and what is restored go there and away again. Verify is
timed with the bundle in memory and, after its pages were dropped, from the disk, beside reading the same file and nothing
more. Standard library only.
"""
import argparse
import json
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path


def run(*command):
    start = time.monotonic()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    err = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command}: exit code {process.returncode}: {err.decode()}")
    return {"seconds": time.monotonic() - start, "user": usage.ru_utime, "system": usage.ru_stime}


def drop(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_all(path):
    start, buffer = time.monotonic(), bytearray(1 << 20)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass
    return time.monotonic() - start


def best(runs, size):
    """The run with the least CPU time, and GB/s of `size` bytes by CPU time and clock."""
    least = min(runs, key=lambda r: r["user"] + r["system"])
    cpu = least["user"] + least["system"]
    out = {k: round(v, 3) for k, v in least.items()}
    return {**out, "gb_per_cpu_second": round(size / 1e9 / cpu, 3),
            "gb_per_second": round(size / 1e9 / min(r["seconds"] for r in runs), 3), "runs": len(runs)}


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--tare", nargs="+", required=True, help="NAME=PROGRAM")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    plain = sum(p.stat().st_size for p in options.model.rglob("*") if p.is_file())
    bundle, back = options.work / "cost.tare", options.work / "cost-back"
    for path in options.model.rglob("*.safetensors"):
        read_all(path)
    found = {"cpu": cpu_model(), "cores": os.cpu_count(), "plain_bytes": plain, "programs": {}}
    for threads in options.threads:
        runs = {}
        for _ in range(options.rounds):
            for named in options.tare:
                name, program = named.split("=", 1)
                bundle.unlink(missing_ok=True)
                mine = runs.setdefault(name, {"pack": [], "unpack": [], "verify": [], "verify_disk": [], "read": [], "read_disk": []})
                mine["pack"].append(run(program, "pack", options.model, "-o", bundle, "--threads", threads))
                mine["bytes"] = bundle.stat().st_size
                read_all(bundle)
                mine["unpack"].append(run(program, "unpack", bundle, "-o", back, "--threads", threads))
                shutil.rmtree(back)
                mine["read"].append(read_all(bundle))
                mine["verify"].append(run(program, "verify", bundle, "--threads", threads))
                drop(bundle)
                mine["read_disk"].append(read_all(bundle))
                drop(bundle)
                mine["verify_disk"].append(run(program, "verify", bundle, "--threads", threads))
        for name, mine in runs.items():
            size = mine["bytes"]
            said = {"bundle_bytes": size, "pack": best(mine["pack"], plain), "unpack": best(mine["unpack"], plain),
                    "verify": best(mine["verify"], size), "verify_disk": best(mine["verify_disk"], size),
                    "read_gb_per_second": round(size / 1e9 / min(mine["read"]), 3),
                    "read_disk_gb_per_second": round(size / 1e9 / min(mine["read_disk"]), 3)}
            found["programs"][f"{name}, {threads} threads"] = said
            print(name, threads, json.dumps(said, indent=1))
    bundle.unlink(missing_ok=True)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


main()
