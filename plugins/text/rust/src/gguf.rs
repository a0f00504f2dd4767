//! A vocabulary as GGUF metadata has it, and what both of its kinds share.
use crate::error::{Code, Result, TextError};
use crate::{gguf_bpe, gguf_spm};
use ahash::AHashMap;
use tokenizers::{AddedToken, Tokenizer};

/// Values of tokenizer.ggml.token_type.
pub const UNKNOWN: i32 = 2;
pub const CONTROL: i32 = 3;
pub const USER_DEFINED: i32 = 4;
pub const UNUSED: i32 = 5;
pub const BYTE: i32 = 6;

/// `tokenizers` looks for each added token among all earlier ones, so a vocabulary of a million control tokens would
/// take hours; real ones have at most a few thousand (Gemma 3: 6415).
pub const MAX_ADDED_TOKENS: usize = 32768;

pub struct GgufVocabulary<'a> {
    pub model: &'a str,
    pub pre: &'a str,
    pub tokens: Vec<&'a str>,
    pub scores: &'a [f32],
    pub types: &'a [i32],
    pub merges: Vec<&'a str>,
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    pub unknown: Option<u32>,
    pub add_bos: Option<bool>,
    pub add_eos: Option<bool>,
    pub add_space_prefix: Option<bool>,
}

/// A tokenizer without post-processor, and what is put around a text.
pub struct GgufTokenizer {
    pub tokenizer: Tokenizer,
    pub add_bos: bool,
    pub add_eos: bool,
}

impl GgufVocabulary<'_> {
    pub fn kind(&self, id: usize) -> i32 {
        self.types.get(id).copied().unwrap_or(1)
    }

    pub fn build(&self) -> Result<GgufTokenizer> {
        let count = self.tokens.len();
        if count == 0 {
            return Err(TextError::corrupt("the GGUF vocabulary has no tokens"));
        }
        for (name, len) in [("scores", self.scores.len()), ("token types", self.types.len())] {
            if len != 0 && len != count {
                return Err(TextError::corrupt(format!(
                    "the GGUF vocabulary has {len} {name} for {count} tokens"
                )));
            }
        }
        for (name, id) in [("bos", self.bos), ("eos", self.eos), ("unknown", self.unknown)] {
            if id.is_some_and(|id| id as usize >= count) {
                return Err(TextError::corrupt(format!(
                    "the GGUF vocabulary's {name} token id {} is outside its {count} tokens",
                    id.unwrap_or(0)
                )));
            }
        }
        let added = (0..count).filter(|&id| matches!(self.kind(id), CONTROL | USER_DEFINED)).count();
        if added > MAX_ADDED_TOKENS {
            return Err(TextError::corrupt(format!(
                "the GGUF vocabulary has {added} control and user-defined tokens; at most {MAX_ADDED_TOKENS} are taken"
            )));
        }
        match self.model {
            "gpt2" | "gemma4" => gguf_bpe::build(self),
            "llama" => gguf_spm::build(self),
            other => Err(TextError::new(
                Code::Unsupported,
                format!("GGUF tokenizer model '{other}' is not supported; expected 'gpt2' or 'llama'"),
            )),
        }
    }

    /// Token text -> id of those that `keep` lets in; a text that stands twice is refused.
    pub fn index(
        &self,
        text: impl Fn(usize) -> String,
        keep: impl Fn(usize) -> bool,
    ) -> Result<AHashMap<String, u32>> {
        let mut index = AHashMap::with_capacity(self.tokens.len());
        for id in 0..self.tokens.len() {
            let token = text(id);
            if token.is_empty() || !keep(id) {
                continue;
            }
            if let Some(first) = index.insert(token, id as u32) {
                return Err(TextError::corrupt(format!(
                    "the GGUF vocabulary has the same text for tokens {first} and {id}: {:?}",
                    self.tokens[id]
                )));
            }
        }
        Ok(index)
    }

    /// Registers control tokens as special, user-defined ones as plain added tokens; both match the raw text.
    pub fn add_tokens(&self, tokenizer: &mut Tokenizer, text: impl Fn(usize) -> String) {
        let (mut special, mut plain) = (Vec::new(), Vec::new());
        for id in 0..self.tokens.len() {
            match self.kind(id) {
                CONTROL | UNKNOWN => special.push(AddedToken::from(text(id), true).normalized(false)),
                USER_DEFINED => plain.push(AddedToken::from(text(id), false).normalized(false)),
                _ => {}
            }
        }
        tokenizer.add_special_tokens(&special);
        tokenizer.add_tokens(&plain);
    }
}
