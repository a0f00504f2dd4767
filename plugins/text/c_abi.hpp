// The C ABI of the Rust library tare_text (rust/src/ffi.rs): tokenizers and chat templates. Functions that may fail
// return 0 or a tare::Code with one sentence in `error`; none throws or ends the process. Thread rule: a TareTextModel
// is constant, [any thread]; a TareTextStream belongs to one thread.
#pragma once
#include <cstddef>
#include <cstdint>

extern "C" {

// Bytes of the caller, alive during the call.
struct TareTextSlice {
  const char* data;
  size_t size;
};
// Bytes of the library; released by tare_text_buffer_free. All zeros at first.
struct TareTextBuffer {
  char* data;
  size_t size, capacity;
};
// Ids of the library; released by tare_text_ids_free. All zeros at first.
struct TareTextIds {
  uint32_t* data;
  size_t size, capacity;
};
// tokenizer.ggml.*; ids and flags are -1 when absent.
struct TareTextVocabulary {
  TareTextSlice model, pre;
  const TareTextSlice* tokens;
  size_t num_tokens;
  const float* scores;
  size_t num_scores;
  const int32_t* types;
  size_t num_types;
  const TareTextSlice* merges;
  size_t num_merges;
  const int32_t* more_eos;
  size_t num_more_eos;
  int32_t bos, eos, unknown, padding;
  int32_t add_bos, add_eos, add_space_prefix;
};
// Contents of files, empty when absent; `gguf` may be null.
struct TareTextSource {
  TareTextSlice tokenizer_json, tokenizer_config_json, special_tokens_map_json, generation_config_json, config_json;
  TareTextSlice chat_template;
  const TareTextVocabulary* gguf;
};
struct TareTextModel;
struct TareTextStream;

void tare_text_start();  // once, before anything else: failures of the library are reported, not printed

int32_t tare_text_open(const TareTextSource* source, TareTextModel** model, TareTextBuffer* error);
void tare_text_close(TareTextModel* model);
size_t tare_text_vocabulary_size(const TareTextModel* model);
int64_t tare_text_bos(const TareTextModel* model);  // -1: none
int32_t tare_text_stop_ids(const TareTextModel* model, TareTextIds* ids, TareTextBuffer* error);
// Whether the id has a token. `bytes` stay valid as long as the model.
bool tare_text_token(const TareTextModel* model, uint32_t id, TareTextSlice* bytes, bool* special);

int32_t tare_text_encode(const TareTextModel* model, TareTextSlice text, bool add_special, bool parse_special,
                         TareTextIds* ids, TareTextBuffer* error);
int32_t tare_text_decode(const TareTextModel* model, const uint32_t* ids, size_t num_ids, bool skip_special,
                         TareTextBuffer* text, TareTextBuffer* error);

// A stream keeps what it needs of the model; the model may be closed before it. Null when memory is short.
TareTextStream* tare_text_stream_new(const TareTextModel* model, bool skip_special);
void tare_text_stream_free(TareTextStream* stream);
int32_t tare_text_stream_push(TareTextStream* stream, uint32_t id, TareTextBuffer* text);
int32_t tare_text_stream_finish(TareTextStream* stream, TareTextBuffer* text);

bool tare_text_has_template(const TareTextModel* model);
// `context`: a JSON object. `now`: seconds since 1970, or null for the clock.
int32_t tare_text_render(const TareTextModel* model, TareTextSlice context, const int64_t* now, TareTextBuffer* text,
                         TareTextBuffer* error);
int32_t tare_text_render_template(TareTextSlice chat_template, TareTextSlice context, const int64_t* now,
                                  TareTextBuffer* text, TareTextBuffer* error);

void tare_text_buffer_free(TareTextBuffer* buffer);
void tare_text_ids_free(TareTextIds* ids);

}  // extern "C"
