//! What crosses the ABI: bytes and ids with their owners, the description of a tokenizer, failures as codes.
use crate::error::{Code, Result, TextError};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::slice::from_raw_parts;

/// Bytes that the caller owns and keeps alive during the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    pub(super) data: *const u8,
    pub(super) size: usize,
}

/// Bytes that Rust owns; released by `tare_text_buffer_free`.
#[repr(C)]
pub struct Buffer {
    pub(super) data: *mut u8,
    pub(super) size: usize,
    pub(super) capacity: usize,
}

/// Ids that Rust owns; released by `tare_text_ids_free`.
#[repr(C)]
pub struct Ids {
    pub(super) data: *mut u32,
    pub(super) size: usize,
    pub(super) capacity: usize,
}

#[repr(C)]
pub struct Vocabulary {
    pub(super) model: Slice,
    pub(super) pre: Slice,
    pub(super) tokens: *const Slice,
    pub(super) num_tokens: usize,
    pub(super) scores: *const f32,
    pub(super) num_scores: usize,
    pub(super) types: *const i32,
    pub(super) num_types: usize,
    pub(super) merges: *const Slice,
    pub(super) num_merges: usize,
    pub(super) more_eos: *const i32,
    pub(super) num_more_eos: usize,
    pub(super) bos: i32,
    pub(super) eos: i32,
    pub(super) unknown: i32,
    pub(super) padding: i32,
    pub(super) add_bos: i32,
    pub(super) add_eos: i32,
    pub(super) add_space_prefix: i32,
}

#[repr(C)]
pub struct Source {
    pub(super) tokenizer_json: Slice,
    pub(super) tokenizer_config_json: Slice,
    pub(super) special_tokens_map_json: Slice,
    pub(super) generation_config_json: Slice,
    pub(super) config_json: Slice,
    pub(super) chat_template: Slice,
    pub(super) gguf: *const Vocabulary,
}

pub(super) unsafe fn items<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 || data.is_null() {
        &[]
    } else {
        from_raw_parts(data, count)
    }
}

impl Slice {
    pub(super) unsafe fn bytes<'a>(self) -> &'a [u8] {
        items(self.data, self.size)
    }
    pub(super) unsafe fn text<'a>(self, what: impl FnOnce() -> String) -> Result<&'a str> {
        let bytes = self.bytes();
        std::str::from_utf8(bytes).map_err(|error| {
            TextError::invalid(format!("{} is not valid UTF-8 at byte {}", what(), error.valid_up_to()))
        })
    }
}

impl Buffer {
    pub(super) fn set(&mut self, text: String) {
        let mut bytes = std::mem::ManuallyDrop::new(text.into_bytes());
        (self.data, self.size, self.capacity) = (bytes.as_mut_ptr(), bytes.len(), bytes.capacity());
    }
}

impl Ids {
    pub(super) fn set(&mut self, ids: Vec<u32>) {
        let mut ids = std::mem::ManuallyDrop::new(ids);
        (self.data, self.size, self.capacity) = (ids.as_mut_ptr(), ids.len(), ids.capacity());
    }
}

/// Runs `work`; 0, or the code of the failure with its message in `error`.
pub(super) unsafe fn guarded(error: *mut Buffer, work: impl FnOnce() -> Result<()>) -> i32 {
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
