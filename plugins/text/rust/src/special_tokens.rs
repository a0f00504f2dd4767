//! What the JSON files beside a tokenizer say of special tokens, read as Transformers reads them.
use crate::error::{Result, TextError};
use serde_json::{Map, Value};

const NAMES: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The files' content; an absent one is empty.
pub struct Files {
    pub tokenizer_config: Map<String, Value>,
    pub special_tokens_map: Map<String, Value>,
    pub generation_config: Map<String, Value>,
    pub config: Map<String, Value>,
}

pub fn parse_object(file: &str, text: &str) -> Result<Map<String, Value>> {
    if text.is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(TextError::corrupt(format!("{file} holds no JSON object"))),
        Err(error) => Err(TextError::corrupt(format!("{file} is not valid JSON: {error}"))),
    }
}

/// A token is written as a string or as {"content": string, ...}.
fn content(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content").and_then(Value::as_str)).map(str::to_string)
}

/// A class that puts BOS and EOS around a text by `add_bos_token` and `add_eos_token`, whatever tokenizer.json's
/// post-processor says (transformers 4.55: `update_post_processor` of Llama, Gemma, Cohere).
struct Class {
    bos: &'static str,
    eos: &'static str,
}

impl Files {
    fn class(&self) -> Option<Class> {
        let class = self.tokenizer_config.get("tokenizer_class")?.as_str()?;
        match class.strip_suffix("Fast").unwrap_or(class) {
            "LlamaTokenizer" | "CodeLlamaTokenizer" => Some(Class { bos: "<s>", eos: "</s>" }),
            "GemmaTokenizer" => Some(Class { bos: "<bos>", eos: "<eos>" }),
            "CohereTokenizer" => Some(Class { bos: "<BOS_TOKEN>", eos: "<|END_OF_TURN_TOKEN|>" }),
            _ => None,
        }
    }

    /// The strings that a template sees: bos_token, eos_token, ... and additional_special_tokens.
    pub fn strings(&self) -> Map<String, Value> {
        let mut strings = Map::new();
        for name in NAMES {
            // null in tokenizer_config.json means: has none.
            let value = self.tokenizer_config.get(name).or_else(|| self.special_tokens_map.get(name));
            if let Some(text) = value.and_then(content) {
                strings.insert(name.to_string(), Value::from(text));
            } else if let (None, Some(class)) = (value, self.class()) {
                match name {
                    "bos_token" => drop(strings.insert(name.to_string(), Value::from(class.bos))),
                    "eos_token" => drop(strings.insert(name.to_string(), Value::from(class.eos))),
                    _ => {}
                }
            }
        }
        let more = "additional_special_tokens";
        let list = self.tokenizer_config.get(more).or_else(|| self.special_tokens_map.get(more));
        if let Some(list) = list.and_then(Value::as_array).filter(|list| !list.is_empty()) {
            strings.insert(more.to_string(), Value::from(list.iter().filter_map(content).collect::<Vec<_>>()));
        }
        strings
    }

    /// (add BOS, add EOS) where the tokenizer's class decides that, not tokenizer.json.
    pub fn class_adds(&self) -> Option<(bool, bool)> {
        self.class()?;
        let flag = |name: &str, default: bool| self.tokenizer_config.get(name).and_then(Value::as_bool).unwrap_or(default);
        Some((flag("add_bos_token", true), flag("add_eos_token", false)))
    }

    /// eos_token_id of generation_config.json and config.json (its text_config too): a number or a list.
    pub fn stop_ids(&self) -> Vec<u32> {
        let nested = self.config.get("text_config").and_then(|text| text.get("eos_token_id"));
        let values = [self.generation_config.get("eos_token_id"), self.config.get("eos_token_id"), nested];
        let mut ids = Vec::new();
        for value in values.into_iter().flatten() {
            match value {
                Value::Array(list) => ids.extend(list.iter().filter_map(id)),
                one => ids.extend(id(one)),
            }
        }
        ids
    }

    pub fn bos_id(&self) -> Option<u32> {
        self.generation_config.get("bos_token_id").or_else(|| self.config.get("bos_token_id")).and_then(id)
    }
}

fn id(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok()).filter(|&id| id <= i32::MAX as u32)
}

/// Tokens that end a turn though a GGUF file may name only one of them (llama.cpp finds them by text too).
pub const TURN_ENDS: [&str; 12] = [
    "<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>",
    "<｜end▁of▁sentence｜>", "<end_of_utterance>", "<|END_OF_TURN_TOKEN|>", "<turn|>",
];
