//! The C ABI of ../../c_abi.hpp. Every function catches panics: they come back as `internal` errors.
use crate::error::{Code, Result, TextError};
use crate::gguf::GgufVocabulary;
use crate::special_tokens::{parse_object, Files};
use crate::stream::StreamDecoder;
use crate::template::Templates;
use crate::tokenizer::TextTokenizer;
use serde_json::Value;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice::from_raw_parts;
use std::sync::Arc;

/// Bytes that the caller owns and keeps alive during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    data: *const u8,
    size: usize,
}

/// Bytes that Rust owns; released by `tare_text_buffer_free`.
#[repr(C)]
pub struct Buffer {
    data: *mut u8,
    size: usize,
    capacity: usize,
}

/// Ids that Rust owns; released by `tare_text_ids_free`.
#[repr(C)]
pub struct Ids {
    data: *mut u32,
    size: usize,
    capacity: usize,
}

#[repr(C)]
pub struct Vocabulary {
    model: Slice,
    pre: Slice,
    tokens: *const Slice,
    num_tokens: usize,
    scores: *const f32,
    num_scores: usize,
    types: *const i32,
    num_types: usize,
    merges: *const Slice,
    num_merges: usize,
    more_eos: *const i32,
    num_more_eos: usize,
    bos: i32,
    eos: i32,
    unknown: i32,
    padding: i32,
    add_bos: i32,
    add_eos: i32,
    add_space_prefix: i32,
}

#[repr(C)]
pub struct Source {
    tokenizer_json: Slice,
    tokenizer_config_json: Slice,
    special_tokens_map_json: Slice,
    generation_config_json: Slice,
    config_json: Slice,
    chat_template: Slice,
    gguf: *const Vocabulary,
}

pub struct Model {
    tokenizer: Arc<TextTokenizer>,
    templates: Templates,
}

unsafe fn items<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 || data.is_null() {
        &[]
    } else {
        from_raw_parts(data, count)
    }
}

impl Slice {
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        items(self.data, self.size)
    }
    unsafe fn text<'a>(self, what: impl FnOnce() -> String) -> Result<&'a str> {
        let bytes = self.bytes();
        std::str::from_utf8(bytes).map_err(|error| {
            TextError::invalid(format!("{} is not valid UTF-8 at byte {}", what(), error.valid_up_to()))
        })
    }
}

impl Buffer {
    fn set(&mut self, text: String) {
        let mut bytes = std::mem::ManuallyDrop::new(text.into_bytes());
        (self.data, self.size, self.capacity) = (bytes.as_mut_ptr(), bytes.len(), bytes.capacity());
    }
}

/// Runs `work`; 0, or the code of the failure with its message in `error`.
unsafe fn guarded(error: *mut Buffer, work: impl FnOnce() -> Result<()>) -> i32 {
    let failure = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return 0,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("unknown reason");
            let failure = TextError::new(Code::Internal, format!("the text library failed: {text}"));
            // A payload's own destructor may panic too.
            let _ = catch_unwind(AssertUnwindSafe(move || drop(panic)));
            failure
        }
    };
    if let Some(error) = error.as_mut() {
        error.set(failure.message);
    }
    failure.code as i32
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

unsafe fn open(source: &Source) -> Result<Model> {
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

/// # Safety
/// `source` and what it points to stay valid during the call; `model` and `error` may be written.
#[no_mangle]
pub unsafe extern "C" fn tare_text_open(source: *const Source, model: *mut *mut Model, error: *mut Buffer) -> i32 {
    guarded(error, || {
        *model = Box::into_raw(Box::new(open(&*source)?));
        Ok(())
    })
}

/// # Safety
/// `model` came from `tare_text_open` and is used no more.
#[no_mangle]
pub unsafe extern "C" fn tare_text_close(model: *mut Model) {
    if !model.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(model))));
    }
}

/// # Safety
/// As for every function below: handles are alive, slices are readable, outputs may be written.
#[no_mangle]
pub unsafe extern "C" fn tare_text_encode(
    model: *const Model,
    text: Slice,
    add_special: bool,
    parse_special: bool,
    ids: *mut Ids,
    error: *mut Buffer,
) -> i32 {
    guarded(error, || {
        let text = text.text(|| "the text".to_string())?;
        let mut result = std::mem::ManuallyDrop::new((&*model).tokenizer.encode(text, add_special, parse_special)?);
        *ids = Ids { data: result.as_mut_ptr(), size: result.len(), capacity: result.capacity() };
        Ok(())
    })
}

/// # Safety
/// See `tare_text_encode`.
#[no_mangle]
pub unsafe extern "C" fn tare_text_decode(
    model: *const Model,
    ids: *const u32,
    num_ids: usize,
    skip_special: bool,
    text: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guarded(error, || {
        (*text).set((&*model).tokenizer.decode(items(ids, num_ids), skip_special)?);
        Ok(())
    })
}

/// Ids that end a generation.
/// # Safety
/// See `tare_text_encode`.
#[no_mangle]
pub unsafe extern "C" fn tare_text_stop_ids(model: *const Model, ids: *mut Ids, error: *mut Buffer) -> i32 {
    guarded(error, || {
        let mut result = std::mem::ManuallyDrop::new((&*model).tokenizer.stop_ids.clone());
        *ids = Ids { data: result.as_mut_ptr(), size: result.len(), capacity: result.capacity() };
        Ok(())
    })
}

/// # Safety
/// See `tare_text_encode`.
#[no_mangle]
pub unsafe extern "C" fn tare_text_vocabulary_size(model: *const Model) -> usize {
    (&*model).tokenizer.pieces.len()
}

/// -1 when there is none.
/// # Safety
/// See `tare_text_encode`.
#[no_mangle]
pub unsafe extern "C" fn tare_text_bos(model: *const Model) -> i64 {
    (&*model).tokenizer.bos.map_or(-1, i64::from)
}

/// Whether the id has a token; its bytes stay valid as long as the model.
/// # Safety
/// See `tare_text_encode`.
#[no_mangle]
pub unsafe extern "C" fn tare_text_token(model: *const Model, id: u32, bytes: *mut Slice, special: *mut bool) -> bool {
    let model = &*model;
    let pieces = &model.tokenizer.pieces;
    let piece = pieces.bytes(id);
    *bytes = Slice { data: piece.as_ptr(), size: piece.len() };
    *special = pieces.is_special(id);
    pieces.has(id)
}

/// # Safety
/// See `tare_text_encode`.
#[no_mangle]
pub unsafe extern "C" fn tare_text_has_template(model: *const Model) -> bool {
    !(&*model).templates.is_empty()
}

fn optional_time(now: *const i64) -> Option<i64> {
    // SAFETY: null or a readable number, by the ABI.
    unsafe { now.as_ref() }.copied()
}

/// # Safety
/// See `tare_text_encode`; `now` may be null.
#[no_mangle]
pub unsafe extern "C" fn tare_text_render(
    model: *const Model,
    context: Slice,
    now: *const i64,
    text: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guarded(error, || {
        let context = context.text(|| "the template's context".to_string())?;
        (*text).set((&*model).templates.render(context, optional_time(now))?);
        Ok(())
    })
}

/// A template without a model.
/// # Safety
/// See `tare_text_encode`; `now` may be null.
#[no_mangle]
pub unsafe extern "C" fn tare_text_render_template(
    template: Slice,
    context: Slice,
    now: *const i64,
    text: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guarded(error, || {
        let template = template.text(|| "the chat template".to_string())?;
        let context = context.text(|| "the template's context".to_string())?;
        // An empty template is one that renders to nothing.
        let template = if template.is_empty() { "{# empty #}" } else { template };
        let templates = Templates::new(template, None, serde_json::Map::new());
        (*text).set(templates.render(context, optional_time(now))?);
        Ok(())
    })
}

/// Keeps what it needs of the model alive.
/// # Safety
/// See `tare_text_encode`.
#[no_mangle]
pub unsafe extern "C" fn tare_text_stream_new(model: *const Model, skip_special: bool) -> *mut StreamDecoder {
    let make = || Box::into_raw(Box::new(StreamDecoder::new((&*model).tokenizer.clone(), skip_special)));
    catch_unwind(AssertUnwindSafe(make)).unwrap_or(std::ptr::null_mut())
}

/// # Safety
/// `stream` came from `tare_text_stream_new` and is used no more.
#[no_mangle]
pub unsafe extern "C" fn tare_text_stream_free(stream: *mut StreamDecoder) {
    if !stream.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(stream))));
    }
}

/// # Safety
/// See `tare_text_encode`; one thread at a time for a stream.
#[no_mangle]
pub unsafe extern "C" fn tare_text_stream_push(stream: *mut StreamDecoder, id: u32, text: *mut Buffer) -> i32 {
    guarded(std::ptr::null_mut(), || {
        let mut out = String::new();
        (&mut *stream).push(id, &mut out);
        (*text).set(out);
        Ok(())
    })
}

/// # Safety
/// See `tare_text_stream_push`.
#[no_mangle]
pub unsafe extern "C" fn tare_text_stream_finish(stream: *mut StreamDecoder, text: *mut Buffer) -> i32 {
    guarded(std::ptr::null_mut(), || {
        let mut out = String::new();
        (&mut *stream).finish(&mut out);
        (*text).set(out);
        Ok(())
    })
}

/// # Safety
/// `buffer` was filled by a function above, or is all zeros.
#[no_mangle]
pub unsafe extern "C" fn tare_text_buffer_free(buffer: *mut Buffer) {
    if !(*buffer).data.is_null() {
        drop(Vec::from_raw_parts((*buffer).data, (*buffer).size, (*buffer).capacity));
        (*buffer).data = std::ptr::null_mut();
    }
}

/// # Safety
/// `ids` was filled by a function above, or is all zeros.
#[no_mangle]
pub unsafe extern "C" fn tare_text_ids_free(ids: *mut Ids) {
    if !(*ids).data.is_null() {
        drop(Vec::from_raw_parts((*ids).data, (*ids).size, (*ids).capacity));
        (*ids).data = std::ptr::null_mut();
    }
}

/// Panics are reported as errors, so nothing is printed about them. Called once, before anything else.
#[no_mangle]
pub extern "C" fn tare_text_start() {
    std::panic::set_hook(Box::new(|_| {}));
}
