//! One tokenizer, whatever file it came from: ids from text and back. Constant after creation; any thread.
use crate::error::{Result, TextError};
use crate::gguf::{GgufTokenizer, GgufVocabulary, MAX_ADDED_TOKENS};
use crate::pieces::{Leading, Pieces};
use crate::special_tokens::{Files, TURN_ENDS};
use crate::stream::take_text;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use tokenizers::tokenizer::pre_tokenizer::OffsetType;
use tokenizers::{AddedVocabulary, Encoding, Model, PreTokenizer, Tokenizer};

pub struct TextTokenizer {
    inner: Tokenizer,
    /// The same added tokens, but special ones are not looked for in a text.
    plain: AddedVocabulary,
    pub pieces: Pieces,
    prefix: Vec<u32>,
    suffix: Vec<u32>,
    pub bos: Option<u32>,
    pub stop_ids: Vec<u32>,
}

#[derive(serde::Deserialize)]
struct AddedTokensOnly {
    #[serde(default)]
    added_tokens: Vec<IgnoredAny>,
}

fn corrupt(error: tokenizers::Error) -> TextError {
    TextError::corrupt(error.to_string())
}

impl TextTokenizer {
    /// From tokenizer.json. Truncation and padding that the file may ask for are not done.
    pub fn from_json(json: &str, files: &Files, strings: &Map<String, Value>) -> Result<Self> {
        let unreadable = |error: &dyn std::fmt::Display| {
            TextError::corrupt(format!("tokenizer.json is not a tokenizer: {error}"))
        };
        let added: AddedTokensOnly = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
        if added.added_tokens.len() > MAX_ADDED_TOKENS {
            return Err(TextError::corrupt(format!(
                "tokenizer.json has {} added tokens; at most {MAX_ADDED_TOKENS} are taken",
                added.added_tokens.len()
            )));
        }
        let mut inner: Tokenizer = json.parse().map_err(|error: tokenizers::Error| unreadable(&error))?;
        inner.with_truncation(None).map_err(corrupt)?;
        inner.with_padding(None);
        let id_of = |name: &str| strings.get(name).and_then(Value::as_str).and_then(|token| inner.token_to_id(token));
        let (bos, eos) = (id_of("bos_token"), id_of("eos_token"));
        let (prefix, suffix) = match files.class_adds() {
            Some((add_bos, add_eos)) => (
                bos.filter(|_| add_bos).into_iter().collect(),
                eos.filter(|_| add_eos).into_iter().collect(),
            ),
            None => surroundings(&inner)?,
        };
        let bos = bos.or_else(|| prefix.first().copied()).or_else(|| files.bos_id());
        let mut stop_ids = files.stop_ids();
        stop_ids.extend(eos);
        Self::finish(inner, prefix, suffix, bos, stop_ids)
    }

    pub fn from_gguf(vocabulary: &GgufVocabulary, more_eos: &[i32], files: &Files) -> Result<Self> {
        let GgufTokenizer { tokenizer, add_bos, add_eos } = vocabulary.build()?;
        let prefix = vocabulary.bos.filter(|_| add_bos).into_iter().collect();
        let suffix = vocabulary.eos.filter(|_| add_eos).into_iter().collect();
        let mut stop_ids = files.stop_ids();
        stop_ids.extend(vocabulary.eos);
        stop_ids.extend(more_eos.iter().filter_map(|&id| u32::try_from(id).ok()));
        let added = tokenizer.get_added_vocabulary().get_vocab();
        stop_ids.extend(TURN_ENDS.iter().filter_map(|token| added.get(*token)));
        Self::finish(tokenizer, prefix, suffix, vocabulary.bos, stop_ids)
    }

    fn finish(
        inner: Tokenizer,
        prefix: Vec<u32>,
        suffix: Vec<u32>,
        bos: Option<u32>,
        mut stop_ids: Vec<u32>,
    ) -> Result<Self> {
        let pieces = Pieces::new(&inner).map_err(TextError::corrupt)?;
        let size = pieces.len();
        if size == 0 {
            return Err(TextError::corrupt("the tokenizer has no tokens"));
        }
        let mut plain = inner.get_added_vocabulary().clone();
        plain.set_encode_special_tokens(true);
        stop_ids.sort_unstable();
        stop_ids.dedup();
        stop_ids.retain(|&id| (id as usize) < size);
        Ok(Self { inner, plain, pieces, prefix, suffix, bos: bos.filter(|&id| (id as usize) < size), stop_ids })
    }

    fn encoding(&self, text: &str, parse_special: bool) -> Result<Encoding> {
        encoding(&self.inner, if parse_special { self.inner.get_added_vocabulary() } else { &self.plain }, text)
    }

    /// `add_special` puts BOS and EOS around; a BOS that the text itself begins with is not put twice.
    pub fn encode(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<u32>> {
        let encoding = self.encoding(text, parse_special)?;
        let ids = encoding.get_ids();
        if !add_special {
            return Ok(ids.to_vec());
        }
        let mut all = Vec::with_capacity(self.prefix.len() + ids.len() + self.suffix.len());
        if !ids.starts_with(&self.prefix) {
            all.extend_from_slice(&self.prefix);
        }
        all.extend_from_slice(ids);
        all.extend_from_slice(&self.suffix);
        Ok(all)
    }

    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        let wanted = || ids.iter().copied().filter(|&id| !(skip_special && self.pieces.is_special(id)));
        if !self.pieces.exact {
            return self.decode_by_library(&wanted().filter(|&id| self.pieces.has(id)).collect::<Vec<_>>());
        }
        let mut bytes: Vec<u8> = Vec::with_capacity(ids.len() * 4);
        let mut first = true;
        for id in wanted().filter(|&id| self.pieces.has(id)) {
            match self.pieces.leading {
                Leading::DropInFirst(mark) if first => {
                    bytes.extend(self.token_text(id).unwrap_or_default().replace(mark, "").bytes());
                }
                _ => bytes.extend_from_slice(self.pieces.bytes(id)),
            }
            first = false;
        }
        if let Leading::Strip { byte, count } = self.pieces.leading {
            let drop = bytes.iter().take(count).take_while(|&&b| b == byte).count();
            bytes.drain(..drop);
        }
        let mut text = String::with_capacity(bytes.len());
        take_text(&mut bytes, true, &mut text);
        Ok(text)
    }

    pub fn decode_by_library(&self, ids: &[u32]) -> Result<String> {
        self.inner.decode(ids, false).map_err(corrupt)
    }

    /// The token as the vocabulary writes it ("▁the", "Ġthe").
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }
}

fn encoding(tokenizer: &Tokenizer, added: &AddedVocabulary, text: &str) -> Result<Encoding> {
    let mut pieces = added.extract_and_normalize(tokenizer.get_normalizer(), text);
    if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
        pre_tokenizer.pre_tokenize(&mut pieces).map_err(corrupt)?;
    }
    pieces.tokenize(|piece| tokenizer.get_model().tokenize(piece.get())).map_err(corrupt)?;
    pieces.into_encoding(None, 0, OffsetType::None).map_err(corrupt)
}

/// What tokenizer.json's post-processor puts before and after a text.
fn surroundings(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>)> {
    let probe = encoding(tokenizer, tokenizer.get_added_vocabulary(), "a")?;
    let length = probe.len();
    let whole = tokenizer.post_process(probe, None, true).map_err(corrupt)?;
    let mask = whole.get_special_tokens_mask();
    let before = mask.iter().take_while(|&&special| special == 1).count();
    let ids = whole.get_ids();
    let after = (before + length).min(ids.len());
    Ok((ids[..before].to_vec(), ids[after..].to_vec()))
}
