//! Each token as the bytes it adds to a text. Known for decoders that work token by token (byte-level, and
//! SentencePiece's replace, byte fallback, fuse, strip); for others decoding is left to `tokenizers`.
use ahash::AHashMap;
use serde_json::Value;
use tokenizers::{Model, Tokenizer};

/// The table has a row for every id; real vocabularies have at most 262,400.
const MAX_ID: u32 = 1 << 22;

/// What happens to spaces at the very start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leading {
    Keep,
    /// Up to `count` of this byte are dropped.
    Strip { byte: u8, count: usize },
    /// All replacement characters of the first token are dropped (Metaspace).
    DropInFirst(char),
}

pub struct Pieces {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    present: Vec<bool>,
    special: Vec<bool>,
    pub leading: Leading,
    /// False: `bytes` are the tokens' own text, and texts are decoded by `tokenizers`.
    pub exact: bool,
}

enum Step {
    ByteLevel,
    Replace(String, String),
    Metaspace(char),
    ByteFallback,
}

impl Pieces {
    /// Rows up to the largest id; Err is an id that is larger than any vocabulary's.
    pub fn new(tokenizer: &Tokenizer) -> Result<Self, String> {
        let plan = plan(tokenizer);
        let exact = plan.is_some();
        let (steps, leading) = plan.unwrap_or((Vec::new(), Leading::Keep));
        let alphabet = byte_alphabet();
        let added = tokenizer.get_added_vocabulary();
        // Ids may have gaps, so the model's tokens are counted until all were met.
        let mut missing = tokenizer.get_model().get_vocab_size();
        let largest_added = added.get_vocab().values().copied().max();
        let expected = missing.min(MAX_ID as usize);
        let mut pieces = Pieces {
            bytes: Vec::with_capacity(expected * 8),
            ends: Vec::with_capacity(expected),
            present: Vec::with_capacity(expected),
            special: Vec::with_capacity(expected),
            leading,
            exact,
        };
        let mut id = 0;
        while missing > 0 || largest_added.is_some_and(|largest| largest >= id) {
            if id > MAX_ID {
                return Err(format!("the tokenizer has token ids above {MAX_ID}, or one id for two tokens"));
            }
            if missing > 0 && tokenizer.get_model().id_to_token(id).is_some() {
                missing -= 1;
            }
            let token = tokenizer.id_to_token(id);
            pieces.present.push(token.is_some());
            pieces.special.push(token.as_ref().is_some_and(|token| added.is_special_token(token)));
            if let Some(token) = token {
                append(&steps, &alphabet, token, &mut pieces.bytes);
            }
            pieces.ends.push(pieces.bytes.len());
            id += 1;
        }
        Ok(pieces)
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }
    pub fn has(&self, id: u32) -> bool {
        self.present.get(id as usize).copied().unwrap_or(false)
    }
    pub fn is_special(&self, id: u32) -> bool {
        self.special.get(id as usize).copied().unwrap_or(false)
    }
    /// Empty for an id without token.
    pub fn bytes(&self, id: u32) -> &[u8] {
        let id = id as usize;
        if id >= self.ends.len() {
            return &[];
        }
        let begin = if id == 0 { 0 } else { self.ends[id - 1] };
        &self.bytes[begin..self.ends[id]]
    }
}

fn append(steps: &[Step], alphabet: &AHashMap<char, u8>, token: String, out: &mut Vec<u8>) {
    let mut text = token;
    for step in steps {
        match step {
            Step::ByteLevel => {
                // As `tokenizers` does: a token with a character outside the alphabet stands for itself.
                match text.chars().map(|c| alphabet.get(&c).copied()).collect::<Option<Vec<u8>>>() {
                    Some(bytes) => out.extend(bytes),
                    None => out.extend(text.as_bytes()),
                }
                return;
            }
            Step::Replace(from, to) => text = text.replace(from.as_str(), to),
            Step::Metaspace(mark) => text = text.replace(*mark, " "),
            Step::ByteFallback => {
                if let Some(byte) = byte_token(&text) {
                    out.push(byte);
                    return;
                }
            }
        }
    }
    out.extend(text.as_bytes());
}

/// "<0x0A>" is 10.
fn byte_token(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// The tokenizer's decoder as steps for one token, or None when it cannot be done token by token.
fn plan(tokenizer: &Tokenizer) -> Option<(Vec<Step>, Leading)> {
    let decoder = serde_json::to_value(tokenizer.get_decoder()?).ok()?;
    let list = match decoder["type"].as_str()? {
        "Sequence" => decoder["decoders"].as_array()?.clone(),
        _ => vec![decoder],
    };
    let (mut steps, mut leading, mut fused) = (Vec::new(), Leading::Keep, false);
    for decoder in &list {
        match decoder["type"].as_str()? {
            // Works on characters of the original token, so it must come first and alone.
            "ByteLevel" if list.len() == 1 => steps.push(Step::ByteLevel),
            "Replace" if !fused => {
                let from = decoder["pattern"]["String"].as_str()?;
                steps.push(Step::Replace(from.to_string(), decoder["content"].as_str()?.to_string()));
            }
            "Metaspace" if steps.is_empty() && list.len() == 1 => {
                let mark = decoder["replacement"].as_str()?.chars().next()?;
                steps.push(Step::Metaspace(mark));
                if decoder["prepend_scheme"].as_str() != Some("never") {
                    leading = Leading::DropInFirst(mark);
                }
            }
            "ByteFallback" if !fused => steps.push(Step::ByteFallback),
            "Fuse" => fused = true,
            "Strip" if fused && decoder["stop"] == Value::from(0) => {
                let content = decoder["content"].as_str()?;
                let [byte] = content.as_bytes() else { return None };
                let count = usize::try_from(decoder["start"].as_u64()?).ok()?;
                if leading != Leading::Keep {
                    return None;
                }
                leading = Leading::Strip { byte: *byte, count };
            }
            _ => return None,
        }
    }
    Some((steps, leading))
}

/// GPT-2's printable stand-ins for bytes: "Ġ" is 32. (Radford et al. 2019, openai/gpt-2: bytes_to_unicode.)
fn byte_alphabet() -> AHashMap<char, u8> {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 256u32;
    (0..=255u8)
        .map(|b| {
            let code = if printable(b) {
                u32::from(b)
            } else {
                next += 1;
                next - 1
            };
            (char::from_u32(code).unwrap_or('\u{FFFD}'), b)
        })
        .collect()
}
