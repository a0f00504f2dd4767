//! A tokenizer with its templates, made from the files or the GGUF vocabulary that a caller describes.
use super::abi::{items, Slice, Source, Vocabulary};
use crate::error::{Code, Result, TextError};
use crate::gguf::GgufVocabulary;
use crate::special_tokens::{parse_object, Files};
use crate::template::Templates;
use crate::tokenizer::TextTokenizer;
use serde_json::Value;
use std::sync::Arc;

pub struct Model {
    pub(super) tokenizer: Arc<TextTokenizer>,
    pub(super) templates: Templates,
}

fn optional_id(id: i32) -> Option<u32> {
    u32::try_from(id).ok()
}

fn optional_flag(flag: i32) -> Option<bool> {
    (flag >= 0).then_some(flag != 0)
}

unsafe fn vocabulary(from: &Vocabulary) -> Result<GgufVocabulary<'_>> {
    let texts = |list: *const Slice, count: usize, what: &str| -> Result<Vec<&str>> {
        let list = items(list, count).iter().enumerate();
        list.map(|(i, text)| text.text(|| format!("{what} {i} of the GGUF vocabulary"))).collect()
    };
    Ok(GgufVocabulary {
        model: from.model.text(|| "the GGUF tokenizer model's name".to_string())?,
        pre: from.pre.text(|| "the GGUF pre-tokeniser's name".to_string())?,
        tokens: texts(from.tokens, from.num_tokens, "token")?,
        scores: items(from.scores, from.num_scores),
        types: items(from.types, from.num_types),
        merges: texts(from.merges, from.num_merges, "merge")?,
        bos: optional_id(from.bos),
        eos: optional_id(from.eos),
        unknown: optional_id(from.unknown),
        add_bos: optional_flag(from.add_bos),
        add_eos: optional_flag(from.add_eos),
        add_space_prefix: optional_flag(from.add_space_prefix),
    })
}

pub(super) unsafe fn open(source: &Source) -> Result<Model> {
    let object = |text: Slice, file: &str| parse_object(file, text.text(|| file.to_string())?);
    let files = Files {
        tokenizer_config: object(source.tokenizer_config_json, "tokenizer_config.json")?,
        special_tokens_map: object(source.special_tokens_map_json, "special_tokens_map.json")?,
        generation_config: object(source.generation_config_json, "generation_config.json")?,
        config: object(source.config_json, "config.json")?,
    };
    let mut strings = files.strings();
    let tokenizer = match source.gguf.as_ref() {
        Some(gguf) => {
            let vocabulary = vocabulary(gguf)?;
            let ids = [("bos_token", gguf.bos), ("eos_token", gguf.eos), ("unk_token", gguf.unknown), ("pad_token", gguf.padding)];
            for (name, id) in ids {
                let token = optional_id(id).and_then(|id| vocabulary.tokens.get(id as usize));
                if let (Some(token), false) = (token, strings.contains_key(name)) {
                    strings.insert(name.to_string(), Value::from(*token));
                }
            }
            TextTokenizer::from_gguf(&vocabulary, items(gguf.more_eos, gguf.num_more_eos), &files)?
        }
        None => {
            let json = source.tokenizer_json.text(|| "tokenizer.json".to_string())?;
            if json.is_empty() {
                return Err(TextError::new(Code::NotFound, "the model has neither a tokenizer.json nor a GGUF vocabulary"));
            }
            TextTokenizer::from_json(json, &files, &strings)?
        }
    };
    let own = source.chat_template.text(|| "the chat template".to_string())?;
    let templates = Templates::new(own, files.tokenizer_config.get("chat_template"), strings);
    Ok(Model { tokenizer: Arc::new(tokenizer), templates })
}
