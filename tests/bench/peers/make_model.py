#!/usr/bin/env python3
"""Writes a random BF16 model of Llama-3.2-1B's shape twice: as a Hugging Face folder and as a GGUF file.

    python tests/bench/peers/make_model.py FOLDER [--layers 16]

1.24 billion weights, 2.5 GB a copy: FOLDER/hf/{config.json,model.safetensors,tokenizer.json} and FOLDER/model.BF16.gguf.
Both hold the same numbers (q and k rows permuted in the GGUF, as its llama architecture wants them). Needs numpy and
gguf. Weights are normal with a deviation of 0.02, close to those of trained models; seeds are fixed.
"""

from __future__ import annotations

import argparse
import json
import struct
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np

HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 2048, 8192, 32, 8, 64, 128256
CHUNK = 1 << 22
ROPE = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@dataclass(frozen=True)
class Tensor:
    hf: str
    gguf: str
    shape: tuple[int, ...]
    permuted_heads: int = 0  # of q and k

    @property
    def is_norm(self) -> bool:
        return len(self.shape) == 1


def tensors_of(layers: int) -> list[Tensor]:
    result = [Tensor("model.embed_tokens.weight", "token_embd.weight", (VOCAB, HIDDEN))]
    for i in range(layers):
        hf, short = f"model.layers.{i}.", f"blk.{i}."
        result += [
            Tensor(hf + "input_layernorm.weight", short + "attn_norm.weight", (HIDDEN,)),
            Tensor(hf + "self_attn.q_proj.weight", short + "attn_q.weight", (HEADS * HEAD_DIM, HIDDEN), HEADS),
            Tensor(hf + "self_attn.k_proj.weight", short + "attn_k.weight", (KV_HEADS * HEAD_DIM, HIDDEN), KV_HEADS),
            Tensor(hf + "self_attn.v_proj.weight", short + "attn_v.weight", (KV_HEADS * HEAD_DIM, HIDDEN)),
            Tensor(hf + "self_attn.o_proj.weight", short + "attn_output.weight", (HIDDEN, HEADS * HEAD_DIM)),
            Tensor(hf + "post_attention_layernorm.weight", short + "ffn_norm.weight", (HIDDEN,)),
            Tensor(hf + "mlp.gate_proj.weight", short + "ffn_gate.weight", (FFN, HIDDEN)),
            Tensor(hf + "mlp.up_proj.weight", short + "ffn_up.weight", (FFN, HIDDEN)),
            Tensor(hf + "mlp.down_proj.weight", short + "ffn_down.weight", (HIDDEN, FFN)),
        ]
    return [*result, Tensor("model.norm.weight", "output_norm.weight", (HIDDEN,))]


def draw(index: int, tensor: Tensor) -> np.ndarray:
    """The tensor's BF16 bits; rounded to nearest even, a piece at a time to stay small."""
    rng = np.random.default_rng(1000 + index)
    count = int(np.prod(tensor.shape))
    bits = np.empty(count, np.uint16)
    for start in range(0, count, CHUNK):
        values = rng.standard_normal(min(CHUNK, count - start), dtype=np.float32) * np.float32(0.02)
        if tensor.is_norm:
            values += np.float32(1)
        raw = values.view(np.uint32)
        bits[start : start + raw.size] = (raw + 0x7FFF + ((raw >> 16) & 1)) >> 16
    return bits.reshape(tensor.shape)


def permute(bits: np.ndarray, heads: int) -> np.ndarray:
    """From rotate-half to adjacent pairs, inside each head."""
    rows, columns = bits.shape
    return bits.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def vocabulary() -> list[str]:
    """Ids 0 to 255 are bytes, 256 is a merge, the rest fillers: any text gets through, and the file stays small."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in visible] + [chr(256 + i) for i in range(256 - len(visible))]
    return [*letters, "Ġt", *(f"<|filler_{i}|>" for i in range(257, VOCAB))]


def write_hf_side(folder: Path, layers: int) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "rope_scaling": ROPE,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 128000,
        "eos_token_id": 128001,
        "torch_dtype": "bfloat16",
    }
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(vocabulary())},
            "merges": ["Ġ t"],
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def safetensors_header(tensors: list[Tensor]) -> bytes:
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for tensor in tensors:
        begin, end = end, end + 2 * int(np.prod(tensor.shape))
        header[tensor.hf] = {"dtype": "BF16", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64)
    return struct.pack("<Q", len(text)) + text


def rope_factors() -> np.ndarray:
    """What llama.cpp's converter stores for the llama3 rope type: each frequency's divisor."""
    frequencies = 1.0 / 500000.0 ** (np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    wavelengths = 2 * np.pi / frequencies
    original, low, high = ROPE["original_max_position_embeddings"], ROPE["low_freq_factor"], ROPE["high_freq_factor"]
    smooth = (original / wavelengths - low) / (high - low)
    between = 1 / ((1 - smooth) / ROPE["factor"] + smooth)
    return np.where(wavelengths < original / high, 1.0, np.where(wavelengths > original / low, ROPE["factor"], between)).astype(
        np.float32
    )


def start_gguf(path: Path, tensors: list[Tensor], layers: int) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random model of Llama-3.2-1B's shape")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_vocab_size(VOCAB)
    writer.add_context_length(131072)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_rope_freq_base(500000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(vocabulary())
    writer.add_token_types([gguf.TokenType.NORMAL] * 257 + [gguf.TokenType.UNUSED] * (VOCAB - 257))
    writer.add_token_merges(["Ġ t"])
    writer.add_bos_token_id(128000)
    writer.add_eos_token_id(128001)
    writer.add_add_bos_token(False)
    for tensor in tensors:
        if tensor.is_norm:
            nbytes = 4 * tensor.shape[0]
            writer.add_tensor_info(tensor.gguf, tensor.shape, np.dtype(np.float32), nbytes)
        else:
            rows, columns = tensor.shape
            shape = (rows, 2 * columns)  # in bytes, as the writer counts a raw type
            writer.add_tensor_info(
                tensor.gguf, shape, np.dtype(np.uint8), 2 * rows * columns, raw_dtype=gguf.GGMLQuantizationType.BF16
            )
    writer.add_tensor_info("rope_freqs.weight", (HEAD_DIM // 2,), np.dtype(np.float32), 2 * HEAD_DIM)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    return writer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layers", type=int, default=16)
    args = parser.parse_args()
    tensors = tensors_of(args.layers)
    write_hf_side(args.folder / "hf", args.layers)
    writer = start_gguf(args.folder / "model.BF16.gguf", tensors, args.layers)
    with open(args.folder / "hf" / "model.safetensors", "wb") as out:
        out.write(safetensors_header(tensors))
        for index, tensor in enumerate(tensors):
            bits = draw(index, tensor)
            bits.tofile(out)
            if tensor.permuted_heads:
                bits = permute(bits, tensor.permuted_heads)
            if tensor.is_norm:
                writer.write_tensor_data((bits.astype(np.uint32) << 16).view(np.float32))
            else:
                writer.write_tensor_data(np.ascontiguousarray(bits).view(np.uint8))
    writer.write_tensor_data(rope_factors())
    writer.close()
    count = sum(int(np.prod(t.shape)) for t in tensors)
    print(f"{args.folder}: {count / 1e9:.3f} billion weights, {2 * count / 1e9:.2f} GB a copy")


if __name__ == "__main__":
    main()
