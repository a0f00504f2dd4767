#!/usr/bin/env python3
"""Writes rope_vectors.json: the rotary tables that Transformers computes for a few configs, in F32.

    .cache/venv-golden/bin/python tests/unit/models/make_rope_vectors.py

The environment is that of the golden models (tests/golden/requirements.txt).
"""

import json
from pathlib import Path

import torch
import transformers
from transformers import Gemma3TextConfig, LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.gemma3.modeling_gemma3 import Gemma3RotaryEmbedding
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

BASE = {"hidden_size": 64, "num_attention_heads": 4, "max_position_embeddings": 4096, "rope_theta": 10000.0}
FACTORS = [1.0, 1.3, 1.9, 2.8, 4.0, 5.5, 7.0, 9.0]
SHORT = [1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2]
LONG = {"rope_type": "longrope", "long_factor": FACTORS, "short_factor": SHORT, "original_max_position_embeddings": 1024}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}

# name, config in the spelling of 4.x, sequence length (None: as at load)
CASES = [
    ("default", {**BASE}, None),
    ("default, theta 5e5, head_dim 128", {**BASE, "rope_theta": 500000.0, "head_dim": 128}, None),
    ("linear, old key", {**BASE, "rope_scaling": {"type": "linear", "factor": 4.0}}, None),
    ("dynamic inside", {**BASE, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, None),
    ("dynamic beyond", {**BASE, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, 10000),
    ("llama3", {**BASE, "rope_theta": 500000.0, "head_dim": 128, "rope_scaling": LLAMA3}, None),
    ("llama3, factor 32", {**BASE, "rope_theta": 500000.0, "rope_scaling": {**LLAMA3, "factor": 32.0}}, None),
    ("yarn", {**BASE, "head_dim": 128, "rope_scaling": {"type": "yarn", "factor": 4.0,
              "original_max_position_embeddings": 1024}}, None),
    ("yarn, attention_factor", {**BASE, "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "attention_factor": 0.9,
              "original_max_position_embeddings": 1024, "beta_fast": 16.0, "beta_slow": 2.0}}, None),
    ("yarn, mscale", {**BASE, "rope_scaling": {"rope_type": "yarn", "factor": 40.0, "mscale": 1.2,
              "mscale_all_dim": 0.8, "original_max_position_embeddings": 1024}}, None),
    ("yarn, not truncated", {**BASE, "head_dim": 64, "rope_scaling": {"rope_type": "yarn", "factor": 4.0,
              "truncate": False, "original_max_position_embeddings": 1024}}, None),
    ("yarn, original from the model", {**BASE, "rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, None),
    ("longrope short", {**BASE, "rope_scaling": {**LONG, "factor": 4.0}}, 1024),
    ("longrope long", {**BASE, "rope_scaling": {**LONG, "factor": 4.0}}, 1025),
    ("longrope, no factor", {**BASE, "rope_scaling": LONG}, 4096),
]


def numbers(tensor: torch.Tensor) -> list[float]:
    return [float(x) for x in tensor.to(torch.float32)]


def main() -> None:
    cases = []
    for name, config, length in CASES:
        made = LlamaConfig(**json.loads(json.dumps(config)))
        kind = made.rope_parameters["rope_type"]
        table = ROPE_INIT_FUNCTIONS[kind] if kind != "default" else LlamaRotaryEmbedding.compute_default_rope_parameters
        inv_freq, magnitude = table(made, **({} if length is None else {"seq_len": length}))
        spellings = {"4.x": config}
        spellings["5.x"] = {key: value for key, value in config.items() if key not in ("rope_theta", "rope_scaling")}
        spellings["5.x"]["rope_parameters"] = made.rope_parameters
        for spelling, written in spellings.items():
            if length is not None:
                written = {**written, "serving_context": length}
            cases.append({"name": f"{name} ({spelling})", "config": written, "magnitude": magnitude,
                          "frequencies": numbers(inv_freq)})
    gemma = Gemma3TextConfig(head_dim=32, rope_scaling={"rope_type": "linear", "factor": 8.0})
    tables = Gemma3RotaryEmbedding(gemma)
    data = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cases": cases,
        "gemma3": {"global": numbers(tables.full_attention_inv_freq), "local": numbers(tables.sliding_attention_inv_freq)},
    }
    out = Path(__file__).parent / "rope_vectors.json"
    out.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
