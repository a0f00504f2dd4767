// How llama.cpp's conversion scripts store the families: keys and tensor names that they share, as lists to which a
// family adds its own. Facts: gguf-py's constants and llama.cpp's conversion/{base,llama,qwen,gemma}.py.
//
// A reader of GGUF files also puts into the config what no key says:
//   "vocab_size"                  rows of token_embd.weight, where the file has no such key;
//   "tie_word_embeddings"         true where output.weight is absent;
//   "attention_bias", "mlp_bias"  true where blk.0.attn_q.bias, blk.0.ffn_gate.bias are present;
//   "gguf_rope_freq_factors.N"    the numbers of rope_freqs.weight (blocks::rope_table divides by them).
// [loader]
#pragma once
#include <string_view>
#include <vector>

#include "core/api/model.hpp"

namespace tare::blocks {

// block_count -> num_hidden_layers and so on, for general.architecture = `architecture`.
std::vector<GgufKey> gguf_keys(std::string_view architecture);

struct GgufTensorOptions {
  GgufTensor::Undo q = GgufTensor::Undo::none, k = GgufTensor::Undo::none;  // of the projections' rows
  GgufTensor::Undo norms = GgufTensor::Undo::none;                          // of every norm
  bool qk_norms = false;
  bool four_norms = false;  // Gemma: a norm before and after attention and mlp
};
// token_embd -> model.embed_tokens and so on. Biases are listed too: files have them where the model has.
std::vector<GgufTensor> gguf_tensors(const GgufTensorOptions& options);

}  // namespace tare::blocks
