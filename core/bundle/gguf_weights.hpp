// A GGUF file's tensors under the checkpoint's names, with what the format did to them undone at read. [any thread]
#pragma once
#include <memory>

#include "core/api/model.hpp"
#include "core/bundle/gguf_file.hpp"
#include "core/bundle/weight_source.hpp"

namespace tare {

// `mapping` may be null: then tensors keep their GGUF names and nothing is undone. `config`: where head counts are read
// from (num_attention_heads, num_key_value_heads, or lists of them by layer). Tensors that the mapping does not name
// keep their GGUF name and are added to `unmapped`.
// Where the matrices are quantised or BF16, every F32 and F16 tensor is presented as BF16; else all as stored.
Result<std::unique_ptr<WeightSource>> open_gguf_weights(const GgufFile& gguf, const GgufMapping* mapping,
                                                        const Config::Values& config,
                                                        std::vector<std::string>* unmapped);

}  // namespace tare
