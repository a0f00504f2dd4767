#!/usr/bin/env python3
"""Writes the tiny random Phi of this folder, and what Hugging Face Transformers makes of it.

    python docs/guide/model/generate.py

Needs torch, transformers, safetensors and numpy (tests/golden/requirements.txt has the versions). config.json is read;
model.safetensors (BF16) and golden.json are written: a prompt, the tokens that greedy decoding in F32 gives, and the
smallest gap between first and second choice as a share of the largest logit. A gap that BF16 could close is refused.
"""
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
STEPS, GAP = 8, 0.03


def draw(seed: int, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Values of a scale that keeps activations near one; no norm is left at one, no bias at zero."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    values = np.random.default_rng(int.from_bytes(digest[:8], "little")).standard_normal(shape)
    if "layernorm.weight" in name:
        values = 1 + 0.2 * values
    elif name.endswith(".bias"):
        values = 0.5 * values
    elif "embed_tokens" not in name:
        values = 2 * values / np.sqrt(shape[-1])
    return torch.from_numpy(values).to(torch.bfloat16)


def greedy(model, prompt: list[int]) -> tuple[list[int], float]:
    tokens, gap = list(prompt), 1.0
    for _ in range(STEPS):
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -1]
        best = logits.topk(2).values
        gap = min(gap, float((best[0] - best[1]) / logits.abs().max()))
        if gap < GAP:
            break  # another seed
        tokens.append(int(logits.argmax()))
    return tokens[len(prompt):], gap


def main() -> None:
    values = json.loads((HERE / "config.json").read_text())
    config = transformers.PhiConfig(**{k: v for k, v in values.items() if k not in ("model_type", "torch_dtype")})
    config._attn_implementation = "eager"
    model = transformers.PhiForCausalLM(config).to(torch.float32).eval()
    for seed in range(200):
        weights = {name: draw(seed, name, tuple(t.shape)) for name, t in model.state_dict().items()}
        model.load_state_dict({k: v.to(torch.float32) for k, v in weights.items()})
        prompt = [int(t) for t in np.random.default_rng(seed).integers(3, 300, 20)]
        tokens, gap = greedy(model, prompt)
        if gap >= GAP and len(set(tokens)) > STEPS // 2:
            break
    else:
        raise SystemExit(f"no seed has gaps over {GAP}")
    save_file(weights, HERE / "model.safetensors", metadata={"format": "pt"})
    (HERE / "model.safetensors").chmod(0o644)
    golden = {
        "seed": seed,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "weights_sha256": hashlib.sha256((HERE / "model.safetensors").read_bytes()).hexdigest(),
        "prompt_tokens": ",".join(map(str, prompt)),
        "greedy_tokens": ",".join(map(str, tokens)),
        "smallest_gap": round(gap, 4),
    }
    (HERE / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")


main()
