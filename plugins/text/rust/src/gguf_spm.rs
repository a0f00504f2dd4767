//! GGUF model "llama": a SentencePiece BPE vocabulary, built as the BPE with byte fallback that Hugging Face's
//! conversion makes of it, so that ids equal those of the model's tokenizer.json. The order of the merges follows
//! `generate_merges` of transformers/convert_slow_tokenizer.py (behaviour, not code): score downwards, then the longer
//! left part, then the longer right part.
use crate::error::{Result, TextError};
use crate::gguf::{GgufTokenizer, GgufVocabulary, BYTE, CONTROL, UNKNOWN, USER_DEFINED};
use ahash::AHashMap;
use std::cmp::Ordering;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as DecoderSequence;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{Prepend, Replace, Sequence as NormalizerSequence};
use tokenizers::{DecoderWrapper, NormalizerWrapper, Tokenizer};

const SPACE: &str = "\u{2581}";
/// Longer pieces take part in no merge: splits are tried at every character, and real pieces have at most 48.
const MAX_PIECE_CHARS: usize = 256;

struct Merge<'a> {
    left: &'a str,
    right: &'a str,
    score: f32,
    left_chars: usize,
    right_chars: usize,
}

pub fn build(vocabulary: &GgufVocabulary) -> Result<GgufTokenizer> {
    if vocabulary.scores.is_empty() {
        return Err(TextError::corrupt("the GGUF vocabulary of model 'llama' has no scores"));
    }
    if let Some(id) = vocabulary.scores.iter().position(|score| score.is_nan()) {
        return Err(TextError::corrupt(format!("the GGUF vocabulary's score of token {id} is not a number")));
    }
    // Converters write spaces in user-defined pieces plainly; SentencePiece itself has them as U+2581.
    let text = |id: usize| match vocabulary.kind(id) {
        USER_DEFINED => vocabulary.tokens[id].replace(' ', SPACE),
        _ => vocabulary.tokens[id].to_string(),
    };
    let index = vocabulary.index(text, |_| true)?;
    let merges = merges(vocabulary, &index, text);
    let has_bytes = (0..vocabulary.tokens.len()).any(|id| vocabulary.kind(id) == BYTE);
    let unknown = vocabulary
        .unknown
        .or_else(|| (0..vocabulary.tokens.len()).find(|&id| vocabulary.kind(id) == UNKNOWN).map(|id| id as u32));
    let mut builder = BPE::builder().fuse_unk(true).byte_fallback(has_bytes);
    if let Some(id) = unknown.filter(|&id| !vocabulary.tokens[id as usize].is_empty()) {
        builder = builder.unk_token(text(id as usize));
    }
    let model = builder
        .vocab_and_merges(index, merges)
        .build()
        .map_err(|error| TextError::corrupt(format!("the GGUF vocabulary is not usable: {error}")))?;

    let prefix = vocabulary.add_space_prefix.unwrap_or(true);
    let failed = |error: tokenizers::Error| TextError::corrupt(error.to_string());
    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    if prefix {
        normalizers.push(Prepend::new(SPACE.to_string()).into());
    }
    normalizers.push(Replace::new(" ", SPACE).map_err(failed)?.into());
    let mut decoders: Vec<DecoderWrapper> = vec![
        Replace::new(SPACE, " ").map_err(failed)?.into(),
        ByteFallback::default().into(),
        Fuse::default().into(),
    ];
    if prefix {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(NormalizerSequence::new(normalizers)));
    tokenizer.with_decoder(Some(DecoderSequence::new(decoders)));
    vocabulary.add_tokens(&mut tokenizer, text);
    Ok(GgufTokenizer {
        tokenizer,
        add_bos: vocabulary.add_bos.unwrap_or(true),
        add_eos: vocabulary.add_eos.unwrap_or(false),
    })
}

fn merges(
    vocabulary: &GgufVocabulary,
    index: &AHashMap<String, u32>,
    text: impl Fn(usize) -> String,
) -> Vec<(String, String)> {
    let pieces: Vec<String> = (0..vocabulary.tokens.len()).map(text).collect();
    let mut all: Vec<Merge> = Vec::new();
    for (id, piece) in pieces.iter().enumerate() {
        if matches!(vocabulary.kind(id), CONTROL | UNKNOWN | BYTE) {
            continue;
        }
        let chars = piece.chars().count();
        if !(2..=MAX_PIECE_CHARS).contains(&chars) {
            continue;
        }
        // SentencePiece gives user-defined pieces the score 0, above all learnt ones; converters overwrite it.
        let score = if vocabulary.kind(id) == USER_DEFINED { 0.0 } else { vocabulary.scores[id] };
        let first = all.len();
        for (left_chars, (at, _)) in piece.char_indices().enumerate().skip(1) {
            let (left, right) = piece.split_at(at);
            if index.contains_key(left) && index.contains_key(right) {
                all.push(Merge { left, right, score, left_chars, right_chars: chars - left_chars });
            }
        }
        all[first..].sort_by_key(|merge| (index[merge.left], index[merge.right]));
    }
    all.sort_by(|a, b| {
        b.score
            .partial_cmp(&a.score)
            .unwrap_or(Ordering::Equal) // no score is NaN
            .then(b.left_chars.cmp(&a.left_chars))
            .then(b.right_chars.cmp(&a.right_chars))
    });
    all.into_iter().map(|merge| (merge.left.to_string(), merge.right.to_string())).collect()
}
