// The header of a safetensors file, checked in full before anything uses it (docs/formats/safetensors.md). [any thread]
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;  // one of the format's names: "BF16"
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;  // bytes, from the end of the header
};
struct SafetensorsHeader {
  std::vector<SafetensorsTensor> tensors;  // in order of offset
  std::map<std::string, std::string> metadata;
  int64_t data_bytes = 0;  // what the tensors fill, without a hole
};
constexpr int64_t kMostHeaderBytes = 100'000'000;  // as the reference implementation has it

// Bits of an element of one of the format's types; nothing for a word that is none.
std::optional<int64_t> safetensors_bits(std::string_view dtype) noexcept;

// `what` names the file in messages. Accepted only: known fields and types, sizes that multiply without overflow and
// equal the offsets, tensors that follow each other without overlap or hole from 0 on, no name twice.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, std::string_view what);

}  // namespace tare
