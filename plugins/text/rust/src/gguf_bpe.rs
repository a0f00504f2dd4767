//! GGUF model "gpt2": BPE with ranked merges and a named pre-tokeniser, byte-level but for the few "raw" ones.
use crate::error::{Result, TextError};
use crate::gguf::{GgufTokenizer, GgufVocabulary, BYTE, UNUSED, USER_DEFINED};
use crate::pre_tokenizers;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::Replace;
use tokenizers::Tokenizer;

const SPACE: &str = "\u{2581}";

pub fn build(vocabulary: &GgufVocabulary) -> Result<GgufTokenizer> {
    let pre = pre_tokenizers::find(vocabulary.pre)?;
    // Converters write spaces in user-defined pieces plainly; in a raw vocabulary the model has them as U+2581.
    let text = |id: usize| match vocabulary.kind(id) {
        USER_DEFINED if pre.raw => vocabulary.tokens[id].replace(' ', SPACE),
        _ => vocabulary.tokens[id].to_string(),
    };
    // Unused tokens are padding ("[PAD151936]") that the source's tokenizer.json does not have.
    let index = vocabulary.index(text, |id| vocabulary.kind(id) != UNUSED)?;
    let has_bytes = pre.raw && (0..vocabulary.tokens.len()).any(|id| vocabulary.kind(id) == BYTE);
    let failed = |error: tokenizers::Error| TextError::corrupt(format!("the GGUF vocabulary is not usable: {error}"));
    let model = BPE::builder()
        .vocab_and_merges(index, merges(vocabulary)?)
        .ignore_merges(pre.ignore_merges)
        .byte_fallback(has_bytes)
        .build()
        .map_err(failed)?;
    let mut tokenizer = Tokenizer::new(model);
    if pre.raw {
        tokenizer.with_normalizer(Some(Replace::new(" ", SPACE).map_err(failed)?));
        tokenizer.with_decoder(Some(Sequence::new(vec![
            Replace::new(SPACE, " ").map_err(failed)?.into(),
            ByteFallback::default().into(),
            Fuse::default().into(),
        ])));
    } else {
        tokenizer.with_normalizer(pre_tokenizers::normalizer(pre));
        tokenizer.with_pre_tokenizer(Some(pre_tokenizers::pre_tokenizer(pre)?));
        tokenizer.with_decoder(Some(ByteLevel::default()));
    }
    vocabulary.add_tokens(&mut tokenizer, text);
    Ok(GgufTokenizer {
        tokenizer,
        add_bos: vocabulary.add_bos.unwrap_or(pre.add_bos),
        add_eos: vocabulary.add_eos.unwrap_or(false),
    })
}

fn merges(vocabulary: &GgufVocabulary) -> Result<Vec<(String, String)>> {
    if vocabulary.merges.is_empty() {
        return Err(TextError::corrupt("the GGUF vocabulary of model 'gpt2' has no merges"));
    }
    let mut merges = Vec::with_capacity(vocabulary.merges.len());
    for (rank, merge) in vocabulary.merges.iter().enumerate() {
        // The separator is the first space after the first character, which may itself be one.
        let Some((at, _)) = merge.char_indices().skip(1).find(|(_, c)| *c == ' ') else {
            return Err(TextError::corrupt(format!(
                "merge {rank} of the GGUF vocabulary is {merge:?}; expected two tokens with a space between"
            )));
        };
        merges.push((merge[..at].to_string(), merge[at + 1..].to_string()));
    }
    Ok(merges)
}
