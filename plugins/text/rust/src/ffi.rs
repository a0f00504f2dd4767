//! The C ABI of ../../c_abi.hpp. Every function catches panics: they come back as `internal` errors.
mod abi;
mod model;

use self::abi::{guarded, items, Buffer, Ids, Slice, Source};
use self::model::{open, Model};
use crate::stream::StreamDecoder;
use crate::template::Templates;
use std::panic::{catch_unwind, AssertUnwindSafe};

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
        (*ids).set((&*model).tokenizer.encode(text, add_special, parse_special)?);
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
        (*ids).set((&*model).tokenizer.stop_ids.clone());
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
