#!/usr/bin/env python3
"""Makes the GGUF twins of the golden folders with llama.cpp's own converter.

    tests/bench/peers/build_llama_cpp.sh .cache/peers      # only its source is needed here
    python tests/golden/make_gguf.py --llama-cpp .cache/peers/llama_cpp_python-0.3.36/vendor/llama.cpp [--only NAME ...]

Writes models/CASE/CASE.TYPE.gguf for every type that the case's `gguf` lists, and twins.json beside them: SHA-256,
converter, tokenizer, and what a reader should find. F32, F16 and BF16 twins must give the same logits as their folder
(F16 rounds BF16's smallest values: see README). Q8_0, Q4_0 and Q4_1 are quantised from the F32 twin with the gguf package;
their expected values after expansion to F32 are in CASE.TYPE.expanded.safetensors, under the GGUF tensor names.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from cases import CASES, Case
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
QUANTISED = ("Q8_0", "Q4_0", "Q4_1")
SHOWN = "blk.0.ffn_down.weight"  # the quantised tensor whose expanded values are kept in full

# llama.cpp recognises a BPE tokenizer by hashing what it makes of a text; ours is new to it, so the name is given.
# Transformers would load Qwen's folder with a class that adds tokens of its own, so the plain class is asked for.
CONVERT = """
import sys
sys.argv = ["convert_hf_to_gguf.py", *sys.argv[2:]]
sys.path.insert(0, "{source}")
import conversion.base, transformers
transformers.AutoTokenizer.from_pretrained = transformers.PreTrainedTokenizerFast.from_pretrained
conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "{pre}"
import convert_hf_to_gguf
convert_hf_to_gguf.main()
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def tokenizer_of(case: Case) -> tuple[str, str]:
    """The tokenizer's folder and its name for `tokenizer.ggml.pre`."""
    kind = case.config["model_type"]
    if kind.startswith("gemma"):
        return "spm-gemma", ""
    if kind == "mistral":
        return "spm-llama", ""
    return ("bpe-llama3", "llama-bpe") if kind == "llama" else ("bpe-qwen2", "qwen2")


def convert(case: Case, folder: Path, llama_cpp: Path, kind: str, out: Path) -> None:
    tokenizer, pre = tokenizer_of(case)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / case.name
        source.mkdir()
        for file in [*folder.glob("*.safetensors"), folder / "config.json"]:
            if file.name != "golden.safetensors":
                shutil.copy(file, source)
        for file in (HERE / "tokenizers" / tokenizer).iterdir():
            shutil.copy(file, source)
        script = CONVERT.format(source=llama_cpp, pre=pre)
        command = [sys.executable, "-c", script, "-", str(source), "--outtype", kind.lower(), "--outfile", str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{case.name}: the converter failed:\n{done.stderr[-3000:]}")


def copy_field(writer, field) -> None:
    kind = field.types[0]
    sub = field.types[-1] if len(field.types) > 1 else None
    writer.add_key_value(field.name, field.contents(), kind, sub_type=sub)


def quantise(gguf, source: Path, kind: str, out: Path) -> dict[str, np.ndarray]:
    """Rewrites the F32 file with its matrices in `kind`; returns every tensor as a reader must expand it."""
    reader = gguf.GGUFReader(source)
    quant = gguf.GGMLQuantizationType[kind]
    writer = gguf.GGUFWriter(out, arch="llama")
    for field in reader.fields.values():
        if field.name == "general.file_type":
            writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind}"])
        elif not field.name.startswith("GGUF.") and field.name != "general.architecture":
            copy_field(writer, field)
    expanded = {}
    for tensor in reader.tensors:
        data = np.array(tensor.data).reshape(tuple(int(n) for n in reversed(tensor.shape)))
        if data.ndim == 2:
            blocks = gguf.quants.quantize(data, quant)
            writer.add_tensor(tensor.name, blocks, raw_dtype=quant)
            data = gguf.quants.dequantize(blocks, quant)
        else:
            writer.add_tensor(tensor.name, data)
        expanded[tensor.name] = data.astype(np.float32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return expanded


def run_expansion(folder: Path, file: str) -> np.ndarray:
    """Logits of Transformers' own GGUF reader for the golden tokens: expanded, rounded to BF16, computed in F32."""
    import torch
    import transformers

    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    model.set_attn_implementation("eager")
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16).to(torch.float32)
    golden = json.loads((folder / "golden.json").read_text())
    with torch.no_grad():
        return model(torch.tensor([golden["prompt_tokens"] + golden["decode_tokens"]])).logits[0].numpy()


def make(case: Case, models: Path, llama_cpp: Path, gguf) -> None:
    folder = models / case.name
    twins, quantised, tensors = {}, {}, {}
    for kind in case.gguf:
        out = folder / f"{case.name}.{kind}.gguf"
        if kind in QUANTISED:
            expanded = quantise(gguf, folder / f"{case.name}.F32.gguf", kind, out)
            quantised[kind] = {"expanded_sha256": {n: sha256(v.tobytes()) for n, v in expanded.items()}}
            tensors[f"{kind}.{SHOWN}"] = expanded[SHOWN]
            tensors[f"{kind}.logits.float32"] = run_expansion(folder, out.name)
        else:
            convert(case, folder, llama_cpp, kind, out)
        reader = gguf.GGUFReader(out)
        twins[out.name] = {
            "sha256": sha256(out.read_bytes()),
            **quantised.get(kind, {}),
            "tensor_types": {t.name: t.tensor_type.name for t in reader.tensors},
        }
        print(out.name, out.stat().st_size)
    if tensors:
        save_file(tensors, folder / "twins.safetensors")
        (folder / "twins.safetensors").chmod(0o644)
    fields = {
        name: field.contents()
        for name, field in reader.fields.items()
        if not name.startswith(("GGUF.", "tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.scores"))
        and name not in ("tokenizer.ggml.token_type", "general.file_type")
    }
    record = {"tokenizer": tokenizer_of(case)[0], "converter": "llama.cpp in llama-cpp-python 0.3.36", "files": twins}
    (folder / "twins.json").write_text(json.dumps({**record, "metadata": fields}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--llama-cpp", type=Path, required=True, help="source folder of llama.cpp")
    parser.add_argument("--only", nargs="*", help="names of cases; all by default")
    parser.add_argument("--models", type=Path, default=HERE / "models")
    args = parser.parse_args()
    sys.path.insert(0, str(args.llama_cpp / "gguf-py"))
    import gguf

    for case in CASES:
        if case.gguf and (not args.only or case.name in args.only):
            make(case, args.models, args.llama_cpp.resolve(), gguf)


if __name__ == "__main__":
    main()
