// Weights in safetensors files: one file, several, or those that an index lists. [any thread]
#pragma once
#include <memory>
#include <span>
#include <string>

#include "core/bundle/weight_source.hpp"

namespace tare {

Result<std::unique_ptr<WeightSource>> open_safetensors(std::span<const std::string> paths);
// `index_path`: a model.safetensors.index.json. Refused: a shard that is missing or of the wrong size (both sizes), a
// tensor that is not in the shard that the index names, one in two shards. Tensors that the index leaves out are
// there all the same.
Result<std::unique_ptr<WeightSource>> open_safetensors_index(const std::string& index_path);

}  // namespace tare
