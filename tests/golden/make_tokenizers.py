#!/usr/bin/env python3
"""Trains the tiny tokenizers of the golden models: two byte-level BPE, two SentencePiece BPE, and tiny-chat's.

    python tests/golden/make_tokenizers.py [--out tests/golden/tokenizers]

Each folder holds tokenizer.json and tokenizer_config.json; the SentencePiece ones hold tokenizer.model as well, which is
what llama.cpp's converter reads. `samples.json` has texts with their ids as the Python packages compute them, special
tokens not added; a tokenizer read from the GGUF twin must give the same ids.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
from pathlib import Path

import sentencepiece
from cases import CHAT_VOCAB, VOCAB
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).resolve().parent
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
BPE_SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
CORPUS = """\
a runtime for language models reads the weights from memory once for every token that it writes. the fewer bytes it has to
read, the sooner the next token is there. this is why the weights are packed: no bit of them is lost, and still they are
smaller than before. the reader unpacks them in the registers of the processor, so that memory never sees them in full.
what is the capital of france? the capital of france is paris. what is the capital of italy? the capital of italy is rome.
count from one to ten: one, two, three, four, five, six, seven, eight, nine, ten. write a short story about a small robot.
once upon a time there was a small robot that lived in a house by the sea. every morning it went down to the water and
listened. one day the sea answered, and the robot told the story to everyone who would hear it. the end of the story is
that the robot and the sea became friends. hello, how are you? i am fine, thank you. what can i do for you today? please
tell me a joke. why did the chicken cross the road? to get to the other side. you are a helpful assistant. the user asks,
the assistant answers; the system sets the tone. these tests read words, and words, and more words, until they stop.
"""
SAMPLES = [
    "hello, how are you?",
    "the capital of france is paris.",
    " leading and  double   spaces",
    "Numbers 1234567 and 3.14",
    "I've we'LL they're",
    "line\nline\n\n  indented\r\ntab\there",
    "naïve café — “quotes”",
    "日本語テスト 한국어 العربية",
    "emoji 🚀👩‍👩‍👧",
    "{\"json\": [1, 2, 3]}",
    "",
    " ",
]


def byte_bpe(size: int, split: str, specials: list[str]) -> Tokenizer:
    """Ids 0 to 255 are the bytes in the byte-level alphabet's order, then merges, then special tokens at the end."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    reserved = [f"<|reserved_{i}|>" for i in range(8 - len(specials))]
    trainer = trainers.BpeTrainer(
        vocab_size=size - 8, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    # Upper case at the starts of sentences gives the 512-token vocabulary merges enough.
    tokenizer.train_from_iterator([CORPUS, CORPUS.title(), CORPUS.capitalize()], trainer)
    tokenizer.add_special_tokens(specials + reserved)
    assert tokenizer.get_vocab_size() == size, tokenizer.get_vocab_size()
    return tokenizer


def with_bos(tokenizer: Tokenizer, bos: str) -> Tokenizer:
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    return tokenizer


def train_spm(gemma: bool) -> bytes:
    ids = dict(pad_id=0, eos_id=1, bos_id=2, unk_id=3) if gemma else dict(unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS.splitlines()),
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCAB,
        byte_fallback=True,
        character_coverage=1.0,
        add_dummy_prefix=not gemma,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
        num_threads=1,
        minloglevel=2,
        pad_piece="<pad>",
        **ids,
    )
    return model.getvalue()


def spm_as_tokenizer_json(spm: sentencepiece.SentencePieceProcessor, gemma: bool) -> Tokenizer:
    """The tokenizer.json that Transformers' converters write for Llama 2 and Gemma: BPE with byte fallback."""
    pieces = [spm.id_to_piece(i) for i in range(spm.get_piece_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    normal = {p for i, p in enumerate(pieces) if not (spm.is_control(i) or spm.is_unknown(i) or spm.is_byte(i))}
    merges = []
    for piece in pieces:
        if piece in normal:
            splits = [(piece[:i], piece[i:]) for i in range(1, len(piece))]
            known = [(left, right) for left, right in splits if left in normal and right in normal]
            merges.extend(sorted(known, key=lambda pair: (vocab[pair[0]], vocab[pair[1]])))
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = replace if gemma else normalizers.Sequence([normalizers.Prepend("▁"), replace])
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps if gemma else [*steps, decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([p for i, p in enumerate(pieces) if spm.is_control(i) or spm.is_unknown(i)])
    return with_bos(tokenizer, "<bos>" if "<bos>" in vocab else "<s>")


def write_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def save(folder: Path, tokenizer: Tokenizer, config: dict, spm_model: bytes | None = None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", config)
    if spm_model:
        (folder / "tokenizer.model").write_bytes(spm_model)
    samples = [{"text": t, "ids": tokenizer.encode(t, add_special_tokens=False).ids} for t in SAMPLES]
    for sample in samples:
        sample["decoded"] = tokenizer.decode(sample["ids"])
    write_json(folder / "samples.json", samples)


def bpe_config(tokenizer_class: str, bos: bool) -> dict:
    return {
        "tokenizer_class": tokenizer_class,
        "bos_token": "<|begin_of_text|>" if bos else None,
        "eos_token": "<|end_of_text|>",
        "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 256,
    }


def make_spm(folder: Path, gemma: bool) -> None:
    model = train_spm(gemma)
    spm = sentencepiece.SentencePieceProcessor(model_proto=model)
    tokenizer = spm_as_tokenizer_json(spm, gemma)
    for text in SAMPLES:
        if text:  # SentencePiece gives nothing for an empty text, tokenizer.json a lone dummy prefix
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            assert ids == spm.encode(text), (folder.name, text, ids, spm.encode(text))
    pieces = {"bos_token": spm.id_to_piece(spm.bos_id()), "eos_token": spm.id_to_piece(spm.eos_id())}
    name = "GemmaTokenizer" if gemma else "LlamaTokenizer"
    config = {"tokenizer_class": name, "add_bos_token": True, "add_eos_token": False, "unk_token": "<unk>", **pieces}
    save(folder, tokenizer, {**config, "clean_up_tokenization_spaces": False, "model_max_length": 256}, model)


CHATML = (
    "{% for message in messages %}"
    "{% if message['role'] not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('The role ' + message['role'] + ' is not known to this template.') }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def make_chat_model(folder: Path) -> None:
    """Adds what a chat model's folder has besides its weights; generate.py has written those as case tiny-chat."""
    tokenizer = with_bos(byte_bpe(CHAT_VOCAB, LLAMA3_SPLIT, BPE_SPECIALS), BPE_SPECIALS[0])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {**bpe_config("PreTrainedTokenizerFast", True), "model_max_length": 2048, "chat_template": CHATML}
    write_json(folder / "tokenizer_config.json", {**config, "eos_token": "<|im_end|>"})
    ids = {name: tokenizer.token_to_id(f"<|{name}|>") for name in ("begin_of_text", "end_of_text", "im_end", "pad")}
    generation = {
        "bos_token_id": ids["begin_of_text"],
        "eos_token_id": [ids["im_end"], ids["end_of_text"]],
        "pad_token_id": ids["pad"],
        "do_sample": True,
        "temperature": 0.7,
        "top_p": 0.95,
    }
    write_json(folder / "generation_config.json", generation)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=HERE / "tokenizers")
    parser.add_argument("--chat-model", type=Path, default=HERE / "models" / "tiny-chat")
    args = parser.parse_args()
    out = args.out
    make_chat_model(args.chat_model)
    llama3 = with_bos(byte_bpe(VOCAB, LLAMA3_SPLIT, BPE_SPECIALS), BPE_SPECIALS[0])
    save(out / "bpe-llama3", llama3, bpe_config("PreTrainedTokenizerFast", True))
    qwen2 = byte_bpe(VOCAB, QWEN2_SPLIT, BPE_SPECIALS)
    qwen2.normalizer = normalizers.NFC()
    save(out / "bpe-qwen2", qwen2, bpe_config("PreTrainedTokenizerFast", False))
    make_spm(out / "spm-llama", gemma=False)
    make_spm(out / "spm-gemma", gemma=True)


if __name__ == "__main__":
    main()
