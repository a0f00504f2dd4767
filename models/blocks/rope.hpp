// Ways to fill a rotary table. The formulas are those of Transformers' modeling_rope_utils.py (5.x), computed in the
// same types; each function names the paper or repository behind it. [loader]
#pragma once
#include <vector>

#include "models/blocks/fields.hpp"

namespace tare::blocks {

struct Rope {
  std::vector<float> frequencies;  // [width / 2], radians a position
  float magnitude = 1;             // of cosine and sine ("attention_factor")
  Rotary rotary(const Graph& g) const { return {.frequencies = g.constant(frequencies), .magnitude = magnitude}; }
};

// Where a table's parameters stand in config.json, in the spelling of Transformers 4.x ("rope_theta", "rope_scaling")
// or of 5.x ("rope_parameters", with a group for each layer type where a model has several tables).
struct RopeKeys {
  std::string_view layer_type = "";           // "full_attention": looks at rope_parameters.full_attention first
  std::string_view theta_key = "rope_theta";  // the spelling of 4.x; absent: no such key
  double theta = 10000;                       // where no key says it
  bool scaled = true;                         // false: rope_scaling of 4.x is not for this table
};

// The table that the config asks for: default, linear, dynamic, llama3, yarn or longrope (older name: su).
//
// A table is fixed when a model is traced, so two schemes that look at the running length look at the length that is
// served instead: "serving_context" (put into the config by the host; absent: max_position_embeddings).
//  dynamic: plain up to max_position_embeddings; beyond it the base for that length;
//  longrope: long factors where it is more than original_max_position_embeddings, short ones otherwise.
//
// "gguf_rope_freq_factors" (the numbers of a GGUF's rope_freqs.weight) divide the plain table and stand for llama3.
Rope rope_table(const Fields& c, int64_t width, const RopeKeys& keys = {}, Where at = Where::current());

// 1 / theta^(2j / width). RoFormer, arXiv 2104.09864.
std::vector<float> plain_frequencies(double theta, int64_t width);

}  // namespace tare::blocks
