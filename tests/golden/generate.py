#!/usr/bin/env python3
"""Writes the golden models and their logits, computed by Hugging Face Transformers itself.

    python tests/golden/generate.py [--only NAME ...] [--out tests/golden/models]

Needs torch, transformers, safetensors and numpy (requirements.txt has the versions that made the committed data).
Weights come from numpy's PCG64 seeded by case and tensor name, so they do not depend on torch's version. Each folder
gets config.json, model.safetensors (or shards with an index), golden.json and golden.safetensors; README.md beside this
file tells what is in them and how a test should compare.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
from cases import CASES, PROMPT, STEPS, Case, to_v5
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
CACHE = "past_key_values"  # its name as an argument; Transformers plans to rename it to "cache"
SENSITIVITY = 0.05  # of the largest logit; the tests allow 1e-4 in F32 and 2e-2 in BF16


def rng_for(seed: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "little"))


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def config_of(case: Case, overrides: dict | None = None) -> dict:
    config = {**case.config, "torch_dtype": case.dtype, "transformers_version": "4.57.0", **(overrides or {})}
    if case.spelling == 5:
        config = to_v5({**config, "transformers_version": transformers.__version__})
    return config


def build(case: Case, overrides: dict | None = None) -> torch.nn.Module:
    """A model of the case's architecture whose weights are still Transformers' own."""
    values = config_of(case, overrides)
    config = transformers.AutoConfig.for_model(values["model_type"], **{k: v for k, v in values.items() if k != "model_type"})
    config._attn_implementation = "eager"
    return transformers.AutoModelForCausalLM.from_config(config).to(torch.float32).eval()


def draw(case: Case, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Random values of a scale that keeps activations O(1) and logits O(1..10); nothing is left at one or zero."""
    values = rng_for(f"{case.weights_of or case.name}/{name}").standard_normal(shape)
    gemma = case.config["model_type"].startswith("gemma")
    if name.endswith("norm.weight") or name.endswith("layernorm.weight"):
        return values * 0.2 if gemma else 1.0 + values * 0.2
    if name.endswith(".bias"):
        return values * 0.5
    if "lm_head" in name or ("embed_tokens" in name and case.config["tie_word_embeddings"]):
        values[len(values) - case.quiet_tokens :] *= 0.1
        return values * case.embed_std
    if "embed_tokens" in name:
        return values
    return values * case.gains[name.split(".")[-2]] / np.sqrt(shape[-1])


def make_weights(case: Case, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    tied = case.config["tie_word_embeddings"]
    dtype = getattr(torch, case.dtype)
    return {
        name: torch.from_numpy(draw(case, name, tuple(tensor.shape))).to(dtype)
        for name, tensor in model.state_dict().items()
        if not (tied and name == "lm_head.weight")
    }


def load(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    missing, unexpected = model.load_state_dict({k: v.to(torch.float32) for k, v in weights.items()}, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


def from_folder(folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """The model as any user of Transformers gets it, which also proves that the folder is a valid one."""
    return transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def run_prompt(model, prompt: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([prompt])).logits[0].float()


def forced_tokens(case: Case) -> list[int] | None:
    """Random decode tokens for tied models, whose greedy choice is mostly the last token again; else None: greedy."""
    if not case.config["tie_word_embeddings"]:
        return None
    return [int(t) for t in rng_for(f"{case.name}/decode").integers(0, 256, STEPS)]


def run_steps(model, prompt: list[int], forced: list[int] | None) -> tuple[torch.Tensor, list[int]]:
    """Logits after every prompt token and every decode step, through the cache; greedy unless tokens are forced."""
    rows, fed = [], []
    with torch.no_grad():
        out = model(torch.tensor([prompt]), use_cache=True)
        rows.append(out.logits[0].float())
        for step in range(STEPS):
            token = forced[step] if forced else int(rows[-1][-1].argmax())
            fed.append(token)
            out = model(torch.tensor([[token]]), use_cache=True, **{CACHE: out.past_key_values})
            rows.append(out.logits[0].float())
    return torch.cat(rows), fed


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference as a share of the largest logit, the measure that the tests use."""
    return float((a - b).abs().max() / b.abs().max())


def measure_ablations(case: Case, weights, prompt, golden: torch.Tensor) -> dict[str, float]:
    result = {}
    for name, overrides in case.ablations.items():
        moved = distance(run_prompt(load(build(case, overrides), weights), prompt), golden[:PROMPT])
        assert moved > SENSITIVITY, f"{case.name}: without {name} the logits move by {moved:.4f} only"
        result[name] = round(moved, 4)
    return result


def save_weights(case: Case, folder: Path, weights: dict[str, torch.Tensor]) -> dict[str, str]:
    for old in folder.glob("model*.safetensors*"):
        old.unlink()
    if case.shards == 1:
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        names = list(weights)
        weight_map = {}
        for i in range(case.shards):
            file = f"model-{i + 1:05}-of-{case.shards:05}.safetensors"
            part = names[i * len(names) // case.shards : (i + 1) * len(names) // case.shards]
            save_file({n: weights[n] for n in part}, folder / file, metadata={"format": "pt"})
            weight_map.update({n: file for n in part})
        size = sum(t.numel() * t.element_size() for t in weights.values())
        write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": weight_map})
    files = sorted(folder.glob("model*.safetensors"))
    for file in files:
        file.chmod(0o644)  # safetensors makes private files
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in files}


def top1_flips(low: torch.Tensor, high: torch.Tensor) -> list[dict]:
    """Rows where the BF16 run's first choice is another than the F32 run's, with the F32 gap between the two."""
    flips = []
    for row in range(high.shape[0]):
        a, b = int(high[row].argmax()), int(low[row].argmax())
        if a != b:
            flips.append({"row": row, "float32": a, "bfloat16": b, "gap": round(float(high[row][a] - high[row][b]), 5)})
    return flips


def generate(case: Case, out: Path) -> None:
    folder = out / case.name
    print(f"{case.name:28}", end=" ", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    weights = make_weights(case, build(case))
    write_json(folder / "config.json", config_of(case))
    hashes = save_weights(case, folder, weights)

    prompt = [int(t) for t in rng_for(f"{case.weights_of or case.name}/prompt").integers(0, 256, PROMPT)]
    model = from_folder(folder, torch.float32)
    whole = run_prompt(model, prompt)
    logits, decode = run_steps(model, prompt, forced_tokens(case))
    full = run_prompt(model, prompt + decode)
    # The dynamic and long rotary types look at the length of the sequence, so only one side of it is comparable.
    assert distance(logits[:PROMPT], whole) < 1e-5 and distance(logits, full) < 1e-5, f"{case.name}: cache differs"
    tensors = {"logits.float32": logits}
    record = {
        "case": case.name,
        "seed": case.weights_of or case.name,
        "weights_dtype": case.dtype,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__},
        "attention": "eager",
        "weights_sha256": hashes,
        "prompt_tokens": prompt,
        "decode_tokens": decode,
        "decode_is_greedy": forced_tokens(case) is None,
        "largest_logit": round(float(logits.abs().max()), 4),
        "logit_std": round(float(logits.std()), 4),
        "runs": {"float32": {"tensor": "logits.float32"}},
        "moves_without": measure_ablations(case, weights, prompt, logits),
    }
    if case.dtype == "bfloat16":
        low, _ = run_steps(from_folder(folder, torch.bfloat16), prompt, decode)
        tensors["logits.bfloat16"] = low.to(torch.bfloat16)
        record["runs"]["bfloat16"] = {
            "tensor": "logits.bfloat16",
            "distance_to_float32": round(distance(low, logits), 5),
            "top1_flips": top1_flips(low, logits),
        }
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.safetensors").chmod(0o644)
    write_json(folder / "golden.json", record)
    low_text = record["runs"].get("bfloat16", {}).get("distance_to_float32", "-")
    print(
        f"largest {record['largest_logit']:7} std {record['logit_std']:7} bf16 {low_text} "
        f"flips {len(record['runs'].get('bfloat16', {}).get('top1_flips', []))} {record['moves_without']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="*", help="names of cases; all by default")
    parser.add_argument("--out", type=Path, default=HERE / "models")
    args = parser.parse_args()
    torch.set_num_threads(1)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    names = [c.name for c in CASES]
    assert len(set(names)) == len(names)
    for case in CASES:
        if not args.only or case.name in args.only:
            generate(case, args.out)


if __name__ == "__main__":
    main()
