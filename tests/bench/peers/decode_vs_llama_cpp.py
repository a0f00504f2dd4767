#!/usr/bin/env python3
"""Times `tare bench model` against llama.cpp's llama-bench on the same weights, in alternating runs.

    tests/bench/peers/build_llama_cpp.sh .cache/peers
    python tests/bench/peers/make_model.py .cache/peers/random-1b
    python tests/bench/peers/decode_vs_llama_cpp.py --tare build/bin/tare --peers .cache/peers \\
        --model .cache/peers/random-1b/hf --gguf .cache/peers/random-1b/model.BF16.gguf --out docs/benchmarks/NAME.json

Each round runs both, for every number of threads: decode of --generate tokens from an empty context (ours with plain
weights and with each of --layouts), and a prompt of --prompt tokens. The memory's read bandwidth is measured in every round too (read_bandwidth.c). The record holds every
sample, the medians, the ratios of medians and of pairs, and the share of the bandwidth that decode reaches. Only the
standard library is used. The machine should do nothing else meanwhile: the load average is part of the record.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run_json(command: list[str]):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def tare_command(args, threads: int, prompt: int, generate: int, layout: str = "dense") -> list[str]:
    command = [str(args.tare), "bench", "model", str(args.model), "--threads", str(threads), "--layout", layout]
    command += ["--device", args.device]
    return [*command, "--prompt", str(prompt), "--generate", str(generate), "--repeat", "1", "--json"]


def llama_command(args, threads: int, prompt: int, generate: int) -> list[str]:
    bench = args.peers / args.llama / "bin" / "llama-bench"
    command = [str(bench), "-m", str(args.gguf), "-t", str(threads), "-r", "1", "-o", "json"]
    return [*command, "-p", str(prompt), "-n", str(generate)]


def bandwidth(args, threads: int) -> float:
    binary = args.peers / "read_bandwidth"
    source = HERE / "read_bandwidth.c"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["cc", "-O3", "-march=native", "-pthread", str(source), "-o", str(binary)], check=True)
    return run_json([str(binary), str(threads), "2048", "2"])["gigabytes_per_second"]


def measure_round(args, threads: int) -> dict[str, float]:
    sample = {"read_gb_per_second": bandwidth(args, threads)}
    decode = run_json(tare_command(args, threads, 1, args.generate))
    sample["tare_decode"] = decode["decode_tokens_per_second"]
    sample["llama_decode"] = run_json(llama_command(args, threads, 0, args.generate))[0]["avg_ts"]
    for layout in args.layouts:
        coded = run_json(tare_command(args, threads, 1, args.generate, layout))
        sample[f"tare_decode_{layout}"] = coded["decode_tokens_per_second"]
    prompt = run_json(tare_command(args, threads, args.prompt, 0))
    sample["tare_prompt"] = prompt["prompt_tokens_per_second"]
    sample["llama_prompt"] = run_json(llama_command(args, threads, args.prompt, 0))[0]["avg_ts"]
    return sample


def weight_bytes(folder: Path) -> int:
    """What one decode step reads: every tensor once (the tied embedding as the head; its look-up is a single row)."""
    total = 0
    tied = json.loads((folder / "config.json").read_text()).get("tie_word_embeddings", False)
    for file in folder.glob("*.safetensors"):
        with open(file, "rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        for name, entry in header.items():
            if name != "__metadata__" and (tied or "embed_tokens" not in name):
                total += entry["data_offsets"][1] - entry["data_offsets"][0]
    return total


def summarise(samples: list[dict[str, float]], step_bytes: int) -> dict:
    median = {key: statistics.median(s[key] for s in samples) for key in samples[0]}
    result = {"samples": samples, "median": {k: round(v, 3) for k, v in median.items()}}
    for phase in ("decode", "prompt"):
        result[f"{phase}_ratio"] = round(median[f"tare_{phase}"] / median[f"llama_{phase}"], 3)
        pairs = [round(s[f"tare_{phase}"] / s[f"llama_{phase}"], 3) for s in samples]
        result[f"{phase}_ratio_of_pairs"] = {"min": min(pairs), "max": max(pairs)}
    for key in [k for k in median if k.startswith("tare_decode_")]:
        layout = key.removeprefix("tare_decode_")
        for other in ("tare_decode", "llama_decode"):
            result[f"{layout}_to_{other}"] = round(median[key] / median[other], 3)
    for engine in ("tare", "llama"):
        rate = median[f"{engine}_decode"] * step_bytes / 1e9
        result[f"{engine}_decode_gb_per_second"] = round(rate, 2)
        result[f"{engine}_share_of_bandwidth"] = round(rate / median["read_gb_per_second"], 3)
    return result


def cpu() -> dict:
    fields = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    wanted = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    flags = [f for f in wanted if f in fields.get("flags", "").split()]
    return {"model": fields.get("model name"), "logical_cores": os.cpu_count(), "flags": flags}


def commit() -> str:
    done = subprocess.run(["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip()


def build_info(peers: Path, llama: str) -> dict:
    lines = (peers / llama / "BUILD_INFO").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tare", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True, help="cache folder of build_llama_cpp.sh")
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder that make_model.py wrote")
    parser.add_argument("--gguf", type=Path, required=True, help="its GGUF twin")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--layouts", nargs="*", default=["w12", "w11"], help="decoded too, beside plain weights")
    parser.add_argument("--device", default="cpu", help="ours; cpu:avx2 with --llama llama.cpp-avx2")
    parser.add_argument("--llama", default="llama.cpp", help="folder of the cache with its build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=32)
    parser.add_argument("--out", type=Path, help="where the record goes; standard output otherwise")
    args = parser.parse_args()

    samples = {threads: [] for threads in args.threads}
    load_before = os.getloadavg()
    if load_before[0] > 0.5:
        print(f"the machine is busy (load {load_before[0]:.2f}): these figures will not be fair", file=sys.stderr)
    for number in range(args.rounds):
        for threads in args.threads:
            sample = measure_round(args, threads)
            samples[threads].append(sample)
            shown = ", ".join(f"{key} {value:.2f}" for key, value in sample.items())
            print(f"round {number + 1} of {args.rounds}, {threads} thread(s): {shown}", file=sys.stderr)
    step_bytes = weight_bytes(args.model)
    threads = args.threads[0]
    record = {
        "what": "tare bench model against llama.cpp's llama-bench, BF16, batch 1, tokens per second",
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit(),
        "cpu": cpu(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": {"before": load_before, "after": os.getloadavg()},
        "command": shlex.join(["python", "tests/bench/peers/decode_vs_llama_cpp.py", *map(str, sys.argv[1:])]),
        "tare_command": shlex.join(tare_command(args, threads, 1, args.generate)),
        "llama_command": shlex.join(llama_command(args, threads, 0, args.generate)),
        "llama_cpp": build_info(args.peers, args.llama),
        "weight_bytes_per_step": step_bytes,
        "prompt_tokens": args.prompt,
        "generated_tokens": args.generate,
        "threads": {str(t): summarise(s, step_bytes) for t, s in samples.items()},
    }
    text = json.dumps(record, indent=1) + "\n"
    if args.out:
        args.out.write_text(text)
    else:
        print(text)
    for t, result in record["threads"].items():
        print(
            f"{t} thread(s): decode {result['decode_ratio']}x llama.cpp at {result['tare_share_of_bandwidth']:.0%} of the "
            f"bandwidth, prompt of {args.prompt} {result['prompt_ratio']}x",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
