//! Text from ids as they come. Gives exactly the text that decoding the whole sequence gives; bytes that may still
//! become a character are kept back.
use crate::pieces::Leading;
use crate::tokenizer::TextTokenizer;
use std::sync::Arc;

pub struct StreamDecoder {
    tokenizer: Arc<TextTokenizer>,
    skip_special: bool,
    pending: Vec<u8>,
    start: Start,
    // Only for decoders that do not work token by token.
    ids: Vec<u32>,
    sent: usize,
}

/// How much of the text's start is still to be dropped.
struct Start {
    strip_left: usize,
    first: bool,
}

impl StreamDecoder {
    pub fn new(tokenizer: Arc<TextTokenizer>, skip_special: bool) -> Self {
        let strip_left = match tokenizer.pieces.leading {
            Leading::Strip { count, .. } => count,
            _ => 0,
        };
        Self {
            tokenizer,
            skip_special,
            pending: Vec::new(),
            start: Start { strip_left, first: true },
            ids: Vec::new(),
            sent: 0,
        }
    }

    pub fn push(&mut self, id: u32, out: &mut String) {
        let pieces = &self.tokenizer.pieces;
        if !pieces.has(id) || (self.skip_special && pieces.is_special(id)) {
            return;
        }
        if !pieces.exact {
            self.ids.push(id);
            self.send_whole(false, out);
            return;
        }
        let mut bytes = pieces.bytes(id);
        let dropped;
        if let (Leading::DropInFirst(mark), true) = (pieces.leading, self.start.first) {
            dropped = self.tokenizer.token_text(id).unwrap_or_default().replace(mark, "");
            bytes = dropped.as_bytes();
        }
        self.start.first = false;
        if let Leading::Strip { byte, .. } = pieces.leading {
            while self.start.strip_left > 0 && !bytes.is_empty() {
                if bytes[0] != byte {
                    self.start.strip_left = 0;
                    break;
                }
                bytes = &bytes[1..];
                self.start.strip_left -= 1;
            }
        }
        self.pending.extend_from_slice(bytes);
        take_text(&mut self.pending, false, out);
    }

    pub fn finish(&mut self, out: &mut String) {
        if self.tokenizer.pieces.exact {
            take_text(&mut self.pending, true, out);
        } else {
            self.send_whole(true, out);
        }
    }

    /// Decodes everything and sends what is new; a broken character at the end waits.
    fn send_whole(&mut self, last: bool, out: &mut String) {
        let text = self.tokenizer.decode_by_library(&self.ids).unwrap_or_default();
        let end = if last { text.len() } else { text.trim_end_matches('\u{FFFD}').len() };
        if end > self.sent && text.is_char_boundary(self.sent) {
            out.push_str(&text[self.sent..end]);
            self.sent = end;
        }
    }
}

/// Moves whole characters from `pending` to `out`, U+FFFD for bytes that can no longer become one (the same count as
/// `String::from_utf8_lossy` of the whole). `last`: an unfinished character is broken too.
pub fn take_text(pending: &mut Vec<u8>, last: bool, out: &mut String) {
    let mut at = 0;
    loop {
        match std::str::from_utf8(&pending[at..]) {
            Ok(text) => {
                out.push_str(text);
                pending.clear();
                return;
            }
            Err(error) => {
                let good = at + error.valid_up_to();
                // Checked just now: the bytes up to `good` are valid.
                out.push_str(std::str::from_utf8(&pending[at..good]).unwrap_or_default());
                at = good;
                match error.error_len() {
                    Some(broken) => {
                        out.push('\u{FFFD}');
                        at += broken;
                    }
                    None if last => {
                        out.push('\u{FFFD}');
                        pending.clear();
                        return;
                    }
                    None => {
                        pending.drain(..at);
                        return;
                    }
                }
            }
        }
    }
}
