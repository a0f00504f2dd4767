//! The pre-tokenisers that `tokenizer.ggml.pre` names, each built as the source model's own tokenizer.json has it
//! (regular expression, digits, punctuation, Unicode normalisation), so that ids equal the source's and not an
//! approximation of it. Names: llama.cpp, src/llama-vocab.cpp.
use crate::error::{Code, Result, TextError};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::punctuation::Punctuation;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split as SplitAt, SplitPattern};
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper, SplitDelimiterBehavior};

pub enum Step {
    Split(&'static str),
    EachDigit,
    DigitRuns,
    PunctuationRuns,
    /// GPT-2's own expression, then bytes as characters.
    Gpt2,
    /// Bytes as characters only.
    Bytes,
}
use Step::*;

pub struct PreTokenizer {
    names: &'static [&'static str],
    steps: &'static [Step],
    nfc: bool,
    /// A whole word that is a token is taken without looking at the merges.
    pub ignore_merges: bool,
    /// What `add_bos_token` is when the file does not say.
    pub add_bos: bool,
    /// SentencePiece-like: raw UTF-8 with U+2581 for a space and byte fallback, no byte-level alphabet.
    pub raw: bool,
}

const BASE: PreTokenizer =
    PreTokenizer { names: &[], steps: &[Gpt2], nfc: false, ignore_merges: false, add_bos: false, raw: false };

const LLAMA3: Step = Split(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const QWEN2: Step = Split(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const QWEN35: Step = Split(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const TEKKEN: Step = Split(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const GPT4O: Step = Split(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const YOUTU: Step = Split(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const DEEPSEEK_V3: Step = Split(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##,
);
const SPARK: Step = Split(
    r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+|[\r\n]|\s+(?!\S)|\s+"##,
);
/// Letters that have case, by code point: typed, some of them would change under Unicode normalisation.
const DEEPSEEK_LLM_LETTERS: Step = Split(
    r"\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}]+",
);
const CJK: Step = Split(r"[一-龥ࠀ-一가-퟿]+");
const CJK_KANA: Step = Split(r"[一-龥぀-ゟ゠-ヿ]+");
const BLOOM: Step = Split(r" ?[^(\s|.,!?…。，、।۔،)]+");
const BAILING: Step = Split(
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
);
const SEED: Step = Split(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const UFAKZEKA: Step =
    Split(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+");
const JAIS2: Step = Split(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1}",
);
const EXAONE_MOE: Step = Split(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
);
const MINICPM5: Step = Split(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const KIMI_K2: Step = Split(
    r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const GPT2_NO_TAIL: Step = Split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)");

const TABLE: &[PreTokenizer] = &[
    PreTokenizer {
        names: &["", "default"],
        steps: &[
            Split(r"[\p{P}\$\+<=>\^~\|]+"),
            GPT2_NO_TAIL,
            Split(r"\p{N}+"),
            Split("[0-9][0-9][0-9]"),
            Bytes,
        ],
        ..BASE
    },
    PreTokenizer {
        names: &[
            "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
        ],
        steps: &[LLAMA3, Bytes],
        ignore_merges: true,
        add_bos: true,
        ..BASE
    },
    PreTokenizer { names: &["dbrx", "smaug-bpe", "glm4", "chatglm-bpe"], steps: &[LLAMA3, Bytes], ..BASE },
    PreTokenizer {
        names: &["qwen2", "deepseek-r1-qwen", "megrez", "stablelm2"],
        steps: &[QWEN2, Bytes],
        nfc: true,
        ..BASE
    },
    PreTokenizer {
        names: &["kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2"],
        steps: &[QWEN2, Bytes],
        ..BASE
    },
    PreTokenizer { names: &["qwen35"], steps: &[QWEN35, Bytes], nfc: true, ..BASE },
    PreTokenizer { names: &["laguna"], steps: &[Split(r"[^\n]+|[\n]+"), QWEN2, Bytes], ..BASE },
    PreTokenizer { names: &["minicpm5"], steps: &[Split(r"\p{N}{1,3}"), MINICPM5, Bytes], ignore_merges: true, ..BASE },
    PreTokenizer {
        names: &[
            "gpt-2", "phi-2", "jina-es", "jina-de", "jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code",
            "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert", "jais", "exaone4", "trillion",
            "granite-docling",
        ],
        ..BASE
    },
    PreTokenizer { names: &["mpt", "olmo"], nfc: true, ..BASE },
    PreTokenizer {
        names: &["smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"],
        steps: &[EachDigit, Gpt2],
        ..BASE
    },
    PreTokenizer { names: &["command-r"], steps: &[EachDigit, Gpt2], nfc: true, ..BASE },
    PreTokenizer {
        names: &["falcon"],
        steps: &[PunctuationRuns, Gpt2, DigitRuns, Split("[0-9][0-9][0-9]")],
        ..BASE
    },
    PreTokenizer {
        names: &["deepseek-llm"],
        steps: &[
            Split(r"[\r\n]"),
            DEEPSEEK_LLM_LETTERS,
            Split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
            Split(r"\s+$"),
            CJK,
            EachDigit,
            Bytes,
        ],
        ..BASE
    },
    PreTokenizer {
        names: &["deepseek-coder"],
        steps: &[Split(r"[\r\n]"), Split(r"\s?\p{L}+"), Split(r"\s?\p{P}+"), CJK, EachDigit, Bytes],
        ..BASE
    },
    PreTokenizer {
        names: &["deepseek-v3", "hunyuan-dense", "hy_v4", "joyai-llm"],
        steps: &[Split(r"\p{N}{1,3}"), CJK_KANA, DEEPSEEK_V3, Bytes],
        ..BASE
    },
    PreTokenizer {
        names: &["spark2_5"],
        steps: &[Split(r"\p{N}{1,3}"), CJK_KANA, SPARK, Split(r"\p{N}"), Bytes],
        ..BASE
    },
    PreTokenizer {
        names: &["afmoe"],
        steps: &[
            Split(r"\d{1,3}(?=(?:\d{3})*\b)"),
            Split(r"[一-鿿㐀-䶿\x{F900}-\x{FAFF}぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"),
            DEEPSEEK_V3,
            Bytes,
        ],
        ..BASE
    },
    PreTokenizer {
        names: &["youtu"],
        steps: &[Split("[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"), YOUTU, Bytes],
        ignore_merges: true,
        ..BASE
    },
    PreTokenizer { names: &["tekken"], steps: &[TEKKEN, Bytes], ignore_merges: true, add_bos: true, ..BASE },
    PreTokenizer { names: &["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"], steps: &[GPT4O, Bytes], ..BASE },
    PreTokenizer { names: &["granite-embed-multi-97m"], steps: &[GPT4O, Bytes], ignore_merges: true, ..BASE },
    PreTokenizer {
        names: &["tiny_aya", "cohere2moe"],
        steps: &[Split(r"\d{1,3}(?=(?:\d{3})*\b)"), GPT4O, Bytes],
        ..BASE
    },
    PreTokenizer { names: &["kimi-k2"], steps: &[KIMI_K2, Bytes], ..BASE },
    PreTokenizer { names: &["superbpe"], steps: &[Split(r"\p{N}+"), Split(r"(?=(\d{3})+(?!\d))"), Bytes], ..BASE },
    PreTokenizer { names: &["bailingmoe", "bailingmoe2", "llada-moe"], steps: &[BAILING, Bytes], ..BASE },
    PreTokenizer { names: &["seed-coder"], steps: &[SEED, Bytes], ..BASE },
    PreTokenizer { names: &["ufakzeka"], steps: &[UFAKZEKA, Bytes], ..BASE },
    PreTokenizer { names: &["jais-2"], steps: &[JAIS2, Bytes], ..BASE },
    PreTokenizer { names: &["exaone-moe"], steps: &[EXAONE_MOE, Bytes], ..BASE },
    PreTokenizer { names: &["poro-chat", "bloom", "gpt3-finnish"], steps: &[BLOOM, Bytes], ..BASE },
    PreTokenizer { names: &["viking"], steps: &[BLOOM, EachDigit, Bytes], ..BASE },
    PreTokenizer {
        names: &["chameleon"],
        steps: &[
            Split("<sentinel:[0-9]+>"),
            Split("(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"),
            Split("([\\t\\n]|    |  )"),
            EachDigit,
            Split(r"[\p{P}!-/:-@\[-`{-~]"),
            Gpt2,
        ],
        add_bos: true,
        ..BASE
    },
    PreTokenizer {
        names: &["gemma4", "granite-embed-multi-311m", "sarvam-moe"],
        steps: &[],
        add_bos: true,
        raw: true,
        ..BASE
    },
];

/// The pre-tokeniser of that name; a name that is not known is refused, since any other would give wrong ids.
pub fn find(name: &str) -> Result<&'static PreTokenizer> {
    TABLE.iter().find(|pre| pre.names.contains(&name)).ok_or_else(|| {
        TextError::new(Code::Unsupported, format!("GGUF pre-tokeniser '{name}' is not known, so its ids would be wrong"))
    })
}

pub fn normalizer(pre: &PreTokenizer) -> Option<NormalizerWrapper> {
    pre.nfc.then(|| NFC.into())
}

pub fn pre_tokenizer(pre: &PreTokenizer) -> Result<PreTokenizerWrapper> {
    let mut steps: Vec<PreTokenizerWrapper> = Vec::with_capacity(pre.steps.len());
    for step in pre.steps {
        steps.push(match step {
            Split(regex) => SplitAt::new(
                SplitPattern::Regex(regex.to_string()),
                SplitDelimiterBehavior::Isolated,
                false,
            )
            .map_err(|error| TextError::new(Code::Internal, format!("pre-tokeniser {:?}: {error}", pre.names)))?
            .into(),
            EachDigit => Digits::new(true).into(),
            DigitRuns => Digits::new(false).into(),
            PunctuationRuns => Punctuation::new(SplitDelimiterBehavior::Contiguous).into(),
            Gpt2 => ByteLevel::new(false, true, true).into(),
            Bytes => ByteLevel::new(false, true, false).into(),
        });
    }
    Ok(Sequence::new(steps).into())
}
