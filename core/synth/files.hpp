// The small files of a synthetic model's folder, as text. [any thread]
#pragma once
#include <string>
#include <vector>

#include "core/synth/shape.hpp"
#include "core/synth/statistics.hpp"

namespace tare::synth {

std::string config_json(const Shape& shape);
std::string generation_config_json(const Shape& shape);
// Byte-level BPE: 256 bytes and one merge, so that any text goes in, then fillers up to the vocabulary's size.
std::string tokenizer_json(const Shape& shape);
std::string tokenizer_config_json(const Shape& shape);
// What was asked for and what came out: synth.json.
std::string record_json(const Shape& shape, uint64_t seed, const Statistics& found);
// The first bytes of a safetensors file: the header's length, the header, spaces up to a multiple of 64.
std::string safetensors_head(const std::vector<Tensor>& tensors);

}  // namespace tare::synth
