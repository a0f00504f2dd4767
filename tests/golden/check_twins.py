#!/usr/bin/env python3
"""Compares llama.cpp's logits for every GGUF twin with the golden ones, to prove that the twins are what they claim.

    python tests/golden/check_twins.py --peer-logits .cache/peers/llama.cpp/bin/peer-logits

Expected: F32 and F16 under 1e-3, BF16 under 1e-2 (llama.cpp rounds activations to BF16), quantised under 3e-2 (it
quantises activations too). Gemma's F32 is 1.5e-4 away since llama.cpp looks GELU up in a half-precision table.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

HERE = Path(__file__).resolve().parent
LIMITS = {"F32": 1e-3, "F16": 1e-3, "BF16": 1e-2, "Q8_0": 3e-2, "Q4_0": 3e-2, "Q4_1": 3e-2}


def golden_logits(folder: Path, kind: str) -> np.ndarray:
    quantised = kind.startswith("Q")
    with safe_open(folder / ("twins.safetensors" if quantised else "golden.safetensors"), "numpy") as file:
        return file.get_tensor(f"{kind}.logits.float32" if quantised else "logits.float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--peer-logits", type=Path, required=True)
    args = parser.parse_args()
    failed = 0
    for file in sorted(HERE.glob("models/*/*.gguf")):
        kind = file.suffixes[-2][1:]
        golden = json.loads((file.parent / "golden.json").read_text())
        ids = [str(t) for t in golden["prompt_tokens"] + golden["decode_tokens"]]
        done = subprocess.run([args.peer_logits, file, "1", "-1", *ids], capture_output=True, text=True, check=True)
        found = np.array(json.loads(done.stdout)["logits"])
        wanted = golden_logits(file.parent, kind)
        distance = float(np.abs(found - wanted).max() / np.abs(wanted).max())
        good = distance < LIMITS[kind]
        failed += not good
        print(f"{file.name:34} {distance:.7f} {'ok' if good else 'TOO FAR'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
