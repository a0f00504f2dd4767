// The little of safetensors that the golden data need, apart from the runtime's own reader so that a mistake there
// cannot hide itself. Thread rule: plain functions and values, [any thread].
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/api/status.hpp"

namespace tare::golden {

struct StoredTensor {
  std::string name;
  std::string dtype;  // "F32", "BF16", "F16"
  std::vector<int64_t> shape;
  std::string bytes;
};

Result<std::vector<StoredTensor>> read_safetensors(const std::filesystem::path& file);
Status write_safetensors(const std::filesystem::path& file, const std::vector<StoredTensor>& tensors);
// Exact; unsupported for another dtype.
Result<std::vector<float>> as_f32(const StoredTensor& tensor);

Result<std::string> read_file(const std::filesystem::path& file);
Status write_file(const std::filesystem::path& file, std::string_view bytes);

}  // namespace tare::golden
