// Hugging Face folders made on the spot, and folders compared file by file.
#pragma once
#include <cmath>
#include <map>

#include "core/base/sha256.hpp"
#include "tests/unit/bundle/files.hpp"

namespace tare::testing {

// A generator whose numbers are the same everywhere. [one thread]
struct Numbers {
  uint64_t state = 88172645463325252ull;
  uint64_t next() {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return state;
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double normal() { return std::sqrt(-2 * std::log(uniform() + 1e-300)) * std::cos(6.283185307179586 * uniform()); }
};
inline std::string bf16_bytes(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bytes_of(static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16));
}
// Numbers as trained matrices have them: normal, with a scale for each row.
inline std::string trained_bf16(int64_t rows, int64_t columns, Numbers& numbers) {
  std::string out;
  out.reserve(static_cast<size_t>(rows * columns * 2));
  for (int64_t r = 0; r < rows; ++r) {
    const double scale = 0.02 * std::exp(0.33 * numbers.normal());
    for (int64_t c = 0; c < columns; ++c) out += bf16_bytes(static_cast<float>(scale * numbers.normal()));
  }
  return out;
}
inline std::string random_bytes(int64_t count, Numbers& numbers) {
  std::string out;
  while (static_cast<int64_t>(out.size()) < count) out += static_cast<char>(numbers.next() >> 24);
  return out;
}

struct MadeTensor {
  std::string name, dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};
// A safetensors file of them, with a header as other writers make it: metadata in front, spaces behind.
inline std::string shard_of(const std::vector<MadeTensor>& tensors) {
  std::string header = R"({"__metadata__": {"format":"pt", "z":"\u00e4"})", data;
  for (const auto& t : tensors) {
    header += ", \"" + t.name + "\": {\"shape\":[";
    for (size_t i = 0; i < t.shape.size(); ++i) header += (i > 0 ? "," : "") + std::to_string(t.shape[i]);
    header += "],\"dtype\":\"" + t.dtype + "\",\"data_offsets\":[" + std::to_string(data.size()) + "," +
              std::to_string(data.size() + t.bytes.size()) + "]}";
    data += t.bytes;
  }
  return safetensors(header + "}   \n", data);
}

// Every file below a folder with the SHA-256 of its content.
inline std::map<std::string, std::string> hashes_of(const std::string& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      out[entry.path().lexically_relative(folder).string()] = *sha256_of_file(entry.path().string());
  return out;
}

}  // namespace tare::testing
