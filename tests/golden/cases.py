"""The golden cases: one tiny random model for each family and each variant flag.

A case is a plain value. `config` is the config.json in the spelling of Transformers 4.x; cases with
`spelling = 5` are written in that of 5.x (see `to_v5`). `ablations` name what makes the case special: for each, the
generator runs the same weights with these config values instead and demands that the logits move by far more than
the tests' tolerance, so that a runtime which ignores the field cannot pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

VOCAB = 320  # 256 bytes, 56 merges, 8 special tokens: see make_tokenizers.py
PROMPT = 40
STEPS = 8
CONTEXT = 256

# Of each projection, over 1/sqrt(inputs). Sharp queries and keys make positions and windows matter; modest outputs keep
# BF16's rounding from growing through the layers, so that the tolerance of 2e-2 tells mistakes from rounding.
GAINS = {
    "q_proj": 1.2,
    "k_proj": 1.2,
    "v_proj": 1.0,
    "o_proj": 0.6,
    "gate_proj": 1.0,
    "up_proj": 1.0,
    "down_proj": 0.6,
}


@dataclass(frozen=True)
class Case:
    name: str
    config: dict
    dtype: str = "bfloat16"  # of the stored weights
    spelling: int = 4  # of config.json
    shards: int = 1
    gguf: tuple[str, ...] = ()  # GGUF twins to make: F32, BF16, F16, Q8_0, Q4_0, Q4_1
    ablations: dict[str, dict] = field(default_factory=dict)
    embed_std: float = 0.4  # logits are O(1..10)
    gains: dict[str, float] = field(default_factory=lambda: dict(GAINS))
    quiet_tokens: int = 0  # the last tokens' output rows are damped, so that greedy decoding never picks them
    weights_of: str = ""  # take the weights' seed from this case: same values, another dtype or layout


def llama(**extra) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": None,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": 312,
        "eos_token_id": 313,
        "initializer_range": 0.02,
        "use_cache": True,
        **extra,
    }


def mistral(**extra) -> dict:
    config = llama(architectures=["MistralForCausalLM"], model_type="mistral", rope_theta=1000000.0)
    for key in ("rope_scaling", "attention_bias", "mlp_bias"):
        del config[key]
    return {**config, "bos_token_id": 1, "eos_token_id": 2, "sliding_window": None, **extra}


def qwen2(**extra) -> dict:
    config = llama(architectures=["Qwen2ForCausalLM"], model_type="qwen2", rope_theta=1000000.0, rms_norm_eps=1e-6)
    for key in ("rope_scaling", "attention_bias", "mlp_bias"):
        del config[key]
    window = {"use_sliding_window": False, "sliding_window": 32768, "max_window_layers": 2}
    return {**config, **window, **extra}


def qwen3(**extra) -> dict:
    config = qwen2(architectures=["Qwen3ForCausalLM"], model_type="qwen3", attention_bias=False, head_dim=32)
    return {**config, "rope_scaling": None, "sliding_window": None, **extra}


def gemma2(**extra) -> dict:
    return {
        "architectures": ["Gemma2ForCausalLM"],
        "model_type": "gemma2",
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 24,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "query_pre_attn_scalar": 24,
        "sliding_window": 16,
        "attn_logit_softcapping": 3.0,
        "final_logit_softcapping": 15.0,
        "attention_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "initializer_range": 0.02,
        "use_cache": True,
        **extra,
    }


def gemma3(**extra) -> dict:
    config = gemma2(architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", num_hidden_layers=6)
    del config["hidden_act"]
    config.update(
        rope_theta=1000000.0,
        rope_local_base_freq=10000.0,
        sliding_window_pattern=6,
        attn_logit_softcapping=None,
        final_logit_softcapping=None,
        rope_scaling=None,
        intermediate_size=64,
        num_key_value_heads=1,
        num_attention_heads=2,
        head_dim=32,
        query_pre_attn_scalar=32,
    )
    return {**config, **extra}


NO_SCALING = {"rope_scaling": None}
WINDOW_OFF = {"sliding_window": 4096}
LONG_FACTOR = [1.0, 1.3, 1.9, 2.8, 4.0, 5.5, 7.0, 9.0]
SHORT_FACTOR = [1.0, 1.1, 1.2, 1.4, 1.6, 1.8, 2.0, 2.2]


def longrope(original: int) -> dict:
    return {
        "rope_type": "longrope",
        "factor": 8.0,
        "long_factor": LONG_FACTOR,
        "short_factor": SHORT_FACTOR,
        "original_max_position_embeddings": original,
    }


FIRST = [
    Case("llama-plain", llama(num_key_value_heads=4)),
    Case("llama-plain-f32", llama(num_key_value_heads=4), dtype="float32"),
    Case(
        "llama-tied",
        llama(tie_word_embeddings=True, num_key_value_heads=4),
        gguf=("BF16",),
    ),
    Case(
        "llama-gqa",
        llama(),
        gguf=("BF16", "F32", "F16", "Q8_0", "Q4_0", "Q4_1"),
        ablations={"rope_theta": {"rope_theta": 500000.0}},
    ),
]

# Served by the end-to-end tests: make_tokenizers.py puts a tokenizer with a chat template beside it.
CHAT_VOCAB = 512
FIRST.append(
    Case(
        "tiny-chat",
        llama(vocab_size=CHAT_VOCAB, max_position_embeddings=2048, bos_token_id=504, eos_token_id=508, pad_token_id=506),
        quiet_tokens=8,
    )
)

LLAMA = [
    Case("llama-bias", llama(attention_bias=True, mlp_bias=True)),
    Case("llama-head-dim", llama(head_dim=32), ablations={}),
    Case(
        "llama-rope-linear",
        llama(rope_scaling={"type": "linear", "factor": 4.0}),
        ablations={"rope_scaling": NO_SCALING},
    ),
    # Inside the trained length dynamic NTK is plain rotary by definition; past it, Transformers re-rotates as the
    # sequence grows, which no runtime with a cache can follow, so only the first half has a golden.
    Case("llama-rope-dynamic", llama(rope_scaling={"rope_type": "dynamic", "factor": 2.0})),
    Case(
        "llama-rope-llama3",
        llama(
            rope_scaling={
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64,
            },
            rope_theta=500000.0,
            max_position_embeddings=512,
        ),
        gguf=("BF16",),
        ablations={"rope_scaling": NO_SCALING},
    ),
    Case(
        "llama-rope-yarn",
        llama(
            rope_scaling={"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        ),
        spelling=5,
        gguf=("BF16",),
        ablations={
            "rope_scaling": NO_SCALING,
            "attention_factor": {
                "rope_scaling": {
                    "rope_type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 64,
                    "attention_factor": 1.0,
                }
            },
        },
    ),
    Case(
        "llama-rope-longrope-long",
        llama(rope_scaling=longrope(32)),
        ablations={"rope_scaling": NO_SCALING, "short_factor": {"rope_scaling": longrope(64)}},
    ),
    Case(
        "llama-rope-longrope-short",
        llama(rope_scaling=longrope(64)),
        spelling=5,
        ablations={"rope_scaling": NO_SCALING, "long_factor": {"rope_scaling": longrope(32)}},
    ),
    Case("llama-sharded", llama(), shards=3, weights_of="llama-gqa"),
    Case("llama-f16", llama(), dtype="float16"),
]

MISTRAL = [
    Case(
        "mistral-sliding",
        mistral(sliding_window=16, rope_theta=10000.0),  # no twin: GGUF's llama architecture cannot say a window
        ablations={"sliding_window": WINDOW_OFF, "off by one": {"sliding_window": 17}},
    ),
    Case("mistral-plain", mistral(head_dim=24), gguf=("BF16",)),
]

QWEN = [
    Case("qwen2-plain", qwen2(tie_word_embeddings=True), gguf=("BF16", "F32")),
    Case(
        "qwen2-untied-sliding",
        qwen2(
            use_sliding_window=True,
            sliding_window=12,
            max_window_layers=1,
            num_hidden_layers=3,
            layer_types=["full_attention", "sliding_attention", "sliding_attention"],
        ),
        ablations={"sliding_window": WINDOW_OFF},
    ),
    Case(
        "qwen2-max-window-layers",
        qwen2(use_sliding_window=True, sliding_window=12, max_window_layers=2, num_hidden_layers=3),
        ablations={
            "sliding_window": {"use_sliding_window": False},
            "max_window_layers": {"max_window_layers": 0},
        },
    ),
    Case(
        "qwen2-yarn",
        qwen2(rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}),
        ablations={"rope_scaling": NO_SCALING},
    ),
    Case("qwen3-plain", qwen3(), spelling=5, gguf=("BF16",)),
    Case("qwen3-plain-f32", qwen3(tie_word_embeddings=True), dtype="float32"),
    Case(
        "qwen3-bias-sliding",
        qwen3(
            attention_bias=True,
            use_sliding_window=True,
            sliding_window=12,
            max_window_layers=0,
            layer_types=["sliding_attention", "full_attention"],
        ),
        ablations={
            "sliding_window": WINDOW_OFF,
            "layer_types": {"layer_types": ["full_attention", "sliding_attention"]},
        },
    ),
]

GEMMA_ABLATIONS = {
    "sliding_window": WINDOW_OFF,
    "attn_logit_softcapping": {"attn_logit_softcapping": None},
    "final_logit_softcapping": {"final_logit_softcapping": None},
}
GEMMA = [
    Case("gemma2-plain", gemma2(), gguf=("BF16", "F32"), ablations=GEMMA_ABLATIONS),
    Case(
        "gemma2-scalar",
        gemma2(query_pre_attn_scalar=7),
        spelling=5,
        ablations={**GEMMA_ABLATIONS, "query_pre_attn_scalar": {"query_pre_attn_scalar": 24}},
    ),
    Case("gemma2-f32", gemma2(query_pre_attn_scalar=16), dtype="float32"),
    Case(
        "gemma3-plain",
        gemma3(),
        gguf=("BF16", "F32"),
        ablations={
            "sliding_window": WINDOW_OFF,
            "rope_local_base_freq": {"rope_local_base_freq": 1000000.0},
            "rope_theta": {"rope_theta": 10000.0},
        },
    ),
    Case(
        "gemma3-scaled",
        gemma3(rope_scaling={"rope_type": "linear", "factor": 8.0}, query_pre_attn_scalar=20, rope_theta=10000.0),
        spelling=5,
        ablations={
            "rope_scaling": NO_SCALING,
            "query_pre_attn_scalar": {"query_pre_attn_scalar": 32},
        },
    ),
    Case(
        "gemma3-pattern-2",
        gemma3(sliding_window_pattern=2, num_hidden_layers=4, sliding_window=8),
        ablations={"sliding_window_pattern": {"sliding_window_pattern": 6}},
    ),
]

CASES = FIRST + LLAMA + MISTRAL + QWEN + GEMMA


def to_v5(config: dict) -> dict:
    """Rewrites config.json to what Transformers 5.x saves: `rope_parameters` for theta and scaling, `dtype`."""
    result = {k: v for k, v in config.items() if k not in ("rope_theta", "rope_scaling", "rope_local_base_freq")}
    scaling = dict(config.get("rope_scaling") or {"rope_type": "default"})
    rope = {**scaling, "rope_theta": config["rope_theta"]}
    if "rope_local_base_freq" in config:
        local = {"rope_type": "default", "rope_theta": config["rope_local_base_freq"]}
        result["rope_parameters"] = {"full_attention": rope, "sliding_attention": local}
        pattern = result.pop("sliding_window_pattern")
        result["layer_types"] = [
            "full_attention" if (i + 1) % pattern == 0 else "sliding_attention"
            for i in range(config["num_hidden_layers"])
        ]
    else:
        result["rope_parameters"] = rope
    if config["model_type"] == "gemma2":
        result["layer_types"] = [
            "sliding_attention" if i % 2 == 0 else "full_attention" for i in range(config["num_hidden_layers"])
        ]
    result["dtype"] = result.pop("torch_dtype")
    return result
