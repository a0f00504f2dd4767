#!/usr/bin/env python3
"""Writes tokenizers/*.json: tiny tokenizers, the GGUF arrays of the same vocabulary, and ids of awkward texts.

Each file holds
  tokenizer_json  as Hugging Face `tokenizers` saved it, tokenizer_config as Transformers would;
  gguf            the arrays that llama.cpp's converter writes for it (tokens, scores, types, merges, pre, ...);
  cases           text -> ids without and with special tokens, and with special tokens read as plain text, and the
                  text that the ids decode to, all computed by the Python package.
The reader of either form must give the same ids.

    pip install tokenizers==0.21.4 && python3 make_tokenizers.py
"""
import json
import pathlib

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's 1234567 degrees outside, isn't it? I'LL say WE'VE seen worse.",
    "def main(argc, argv):\n    for i in range(10):\n        print(i)\n\n\n\treturn {'a': [1, 2], \"b\": None}  # done\r\n",
    "Die Straße führt über Köln nach Zürich; garçon, naïve café, smörgåsbord, Łódź, Ørsted.",
    "東京は日本の首都です。北京是中国的首都。서울은 대한민국의 수도입니다. ภาษาไทย हिन्दी العربية עברית Ελληνικά Русский",
    "👩‍👩‍👧‍👦 🏳️‍🌈 😀😀😀 🇩🇪 ½ ² Ⅷ ١٢٣ ４５６ e\u0301 a\u0308",
    "    leading,   inner    and trailing spaces     ",
] * 4
TEXTS = [
    "",
    " ",
    "a",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    " leading space",
    "trailing space ",
    "two  three   four    spaces",
    "   ",
    "\n",
    "\n\n\n",
    " \n \n\t\n  x",
    "line one\r\nline two\rline three\n",
    "tab\ttab\t\ttab",
    "It's I'M we'Ll THEY'VE 'tis don\u2019t",
    "1 12 123 1234 12345 1234567890 3.14159 1,000,000",
    "x1y22z333 ١٢٣٤ ４５６７ ⅧⅨ ½¾ ²³",
    "CamelCaseHTTPServer snake_case_name kebab-case",
    "!@#$%^&*()_+-=[]{}|;':\",./<>?`~",
    "$100+5=105 <b>x</b> a^b|c `code`",
    "...!!!???—–-…",
    "naïve café e\u0301clair a\u0308\u0323 Å\u030a n\u0303",
    "\ufb01 \u2126 \u212b \u1e9b\u0323 \uac00 \u1100\u1161",
    "東京タワー 北京大学，你好！ 한국어 ภาษาไทย हिन्दी",
    "العربية עברית Русский Ελληνικά",
    "😀👩‍👩‍👧‍👦🏳️‍🌈🇩🇪 text 👍🏽",
    "𝕳𝖊𝖑𝖑𝖔 𐐷 𠜎",
    "\u0000\u0001\u001b[31m\u007f\u0080\u009f",
    "zero\u200bwidth\u200djoin\ufeffbom\u00a0nbsp\u3000ideographic\u2028line",
    "\ufffd\uffff\U0010ffff",
    "a" * 300,
    " " * 200 + "x",
    "=" * 100,
    "ab" * 200,
    "\n" * 70,
    "é" * 64,
    "<|im_start|>user\nhi<|im_end|>\n",
    "<|im_start|> spaced <|im_end|>",
    "<s>bos in text</s>",
    "x<s> y</s>z <unk> <pad>",
    "<tool>  inside  </tool>",
    "<0x41><0x0A> ▁▁ Ġ Ċ",
    "<|im_start",
    "https://example.org/a?b=c&d=%20#frag",
    "f(x)=∑ᵢ xᵢ² ≤ ∞ ∀ε>0",
]

GPT2_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(regex):
    return pre_tokenizers.Split(Regex(regex), "isolated", invert=False)


def byte_level(use_regex=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=use_regex)


BYTE_LEVEL = {
    # name: (pre-tokenizer, normalizer, ignore_merges, adds BOS)
    "llama-bpe": ([split(GPT2_SPLIT % "{1,3}"), byte_level()], None, True, True),
    "qwen2": ([split(GPT2_SPLIT % ""), byte_level()], normalizers.NFC(), False, False),
    "gpt-2": ([byte_level(True)], None, False, False),
    "smollm": ([pre_tokenizers.Digits(individual_digits=True), byte_level(True)], None, False, False),
    "falcon": (
        [pre_tokenizers.Punctuation("contiguous"), byte_level(True), pre_tokenizers.Digits(individual_digits=False),
         split("[0-9][0-9][0-9]")], None, False, False),
    "deepseek-coder": (
        [split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"),
         pre_tokenizers.Digits(individual_digits=True), byte_level()], None, False, True),
    "deepseek-v3": (
        [split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"),
         split(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
               r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""), byte_level()], None, False, True),
    "tekken": ([split(TEKKEN_SPLIT), byte_level()], None, True, True),
    "command-r": ([pre_tokenizers.Digits(individual_digits=True), byte_level(True)], normalizers.NFC(), False, True),
}
SPECIALS = ["<s>", "</s>", "<unk>", "<pad>", "<|im_start|>", "<|im_end|>"]


def add_specials(tokenizer):
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in ["<tool>", "</tool>"]])


def bos_template(tokenizer):
    return processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])


def train_byte_level(name):
    steps, normalizer, ignore_merges, bos = BYTE_LEVEL[name]
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=520, min_frequency=2, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    add_specials(tokenizer)
    if bos:
        tokenizer.post_processor = bos_template(tokenizer)
    return tokenizer, bos


def train_spm(prefix, with_bytes, runs):
    """A vocabulary as SentencePiece's BPE trainer numbers it, then the conversion that Transformers does of it."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=420, min_frequency=2, show_progress=False))
    learnt = json.loads(learner.to_str())["model"]
    pieces = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
    if with_bytes:
        pieces += [(f"<0x{b:02X}>", 0.0, 6) for b in range(256)]
    pieces += [("▁" * n, 0.0, 4) for n in runs]
    pieces += [("<tool>", 0.0, 4), ("</tool>", 0.0, 4)]
    seen = {p[0] for p in pieces}
    merged = []
    for merge in learnt["merges"]:
        text = "".join(merge)
        if text not in seen:
            merged.append(text)
            seen.add(text)
    singles = [t for t in learnt["vocab"] if len(t) == 1 and t not in seen and ord(t) < 0x2FF0 or t == "▁" and t not in seen]
    for rank, text in enumerate(merged + singles):
        pieces.append((text, -float(rank), 1))
    if not with_bytes:
        pieces[0] = ("<unk>", 0.0, 2)
    pieces += [("<|im_start|>", 0.0, 3), ("<|im_end|>", 0.0, 3), ("<pad>", 0.0, 3)]
    vocab = {text: i for i, (text, _, _) in enumerate(pieces)}
    scores = {text: score for text, score, kind in pieces if kind in (1, 4)}
    merges = []
    for text, score in scores.items():
        splits = [(text[:i], text[i:], score) for i in range(1, len(text)) if text[:i] in vocab and text[i:] in vocab]
        merges += sorted(splits, key=lambda s: (vocab[s[0]], vocab[s[1]]))
    merges.sort(key=lambda s: (s[2], len(s[0]), len(s[1])), reverse=True)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[(a, b) for a, b, _ in merges], unk_token="<unk>", fuse_unk=True,
                                     byte_fallback=with_bytes))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace]) if prefix else replace
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if prefix else []))
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, _, k in pieces if k in (2, 3)])
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t, _, k in pieces if k == 4])
    tokenizer.post_processor = bos_template(tokenizer)
    return tokenizer, pieces


def gguf_of_byte_level(tokenizer, name, bos):
    model = json.loads(tokenizer.to_str())["model"]
    size = tokenizer.get_vocab_size()
    return {
        "model": "gpt2",
        "pre": name,
        "tokens": [tokenizer.id_to_token(i) for i in range(size)] + ["[PAD%d]" % size],
        "types": [3 if t in SPECIALS else 4 if "tool>" in t else 1
                  for t in (tokenizer.id_to_token(i) for i in range(size))] + [5],
        "scores": [],
        "merges": [" ".join(m) for m in model["merges"]],
        "add_bos": bos,
    }


def gguf_of_spm(pieces, prefix):
    # As the converter writes them: spaces of user-defined pieces plain, their scores overwritten.
    return {
        "model": "llama",
        "pre": "default",
        "tokens": [t.replace("▁", " ") if k == 4 else t for t, _, k in pieces],
        "types": [k for _, _, k in pieces],
        "scores": [-1000.0 if k == 4 else s for _, s, k in pieces],
        "merges": [],
        "add_space_prefix": prefix,
    }


def write(name, tokenizer, gguf):
    ids = {key: tokenizer.token_to_id(token) for key, token in
           [("bos", "<s>"), ("eos", "</s>"), ("unknown", "<unk>"), ("padding", "<pad>")]}
    gguf.update(ids)
    cases = []
    for text in TEXTS:
        tokenizer.encode_special_tokens = False
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        whole = tokenizer.encode(text, add_special_tokens=True).ids
        tokenizer.encode_special_tokens = True
        as_text = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        if len(whole) > len(plain) and whole[:2] == [ids["bos"]] * 2:
            whole = whole[1:]  # BOS is never doubled
        cases.append({
            "text": text, "ids": plain, "with_special": whole, "as_text": as_text,
            "decoded": tokenizer.decode(plain, skip_special_tokens=False),
            "decoded_skipping": tokenizer.decode(plain, skip_special_tokens=True),
        })
    out = {
        "generator": "make_tokenizers.py",
        "versions": {"tokenizers": tokenizers.__version__},
        "tokenizer_json": json.loads(tokenizer.to_str()),
        "tokenizer_config": {"bos_token": "<s>", "eos_token": {"content": "</s>", "special": True}},
        "gguf": gguf,
        "cases": cases,
    }
    path = HERE / "tokenizers" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")) + "\n")
    print(name, tokenizer.get_vocab_size(), "tokens,", path.stat().st_size, "bytes")


def main():
    for name in BYTE_LEVEL:
        tokenizer, bos = train_byte_level(name)
        write(name, tokenizer, gguf_of_byte_level(tokenizer, name, bos))
    for name, prefix, with_bytes, runs in [
        ("spm-llama", True, True, []), ("spm-gemma", False, True, range(2, 17)), ("spm-no-bytes", True, False, []),
    ]:
        tokenizer, pieces = train_spm(prefix, with_bytes, runs)
        write(name, tokenizer, gguf_of_spm(pieces, prefix))


if __name__ == "__main__":
    main()
