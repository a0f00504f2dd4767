//! Tokenizers and chat templates behind a C ABI (see ../../c_abi.hpp). Nothing here is global or mutable after
//! creation except a stream decoder, which belongs to one thread.
mod error;
mod ffi;
mod filters;
mod gguf;
mod gguf_bpe;
mod gguf_spm;
mod json_format;
mod pieces;
mod pre_tokenizers;
mod py_methods;
mod py_value;
mod scalar_filters;
mod special_tokens;
mod stream;
mod strftime;
mod template;
mod tokenizer;
