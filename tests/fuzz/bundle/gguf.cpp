// The input is a whole GGUF file. What opens is read in full, under the model's names and under its own.
#include <vector>

#include "core/bundle/checkpoint.hpp"
#include "core/config/model_config.hpp"
#include "tests/fuzz/bundle/memory_file.hpp"
#include "tests/unit/bundle/gguf_families.hpp"

using namespace tare;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const testing::Families families;
  const fuzz::MemoryFile file(std::string_view(reinterpret_cast<const char*>(data), size));
  for (const bool mapped : {true, false}) {
    const auto checkpoint = open_gguf(
        file.path(), mapped ? std::span<const ModelFamily* const>(families) : std::span<const ModelFamily* const>(),
        {.any_architecture = !mapped});
    if (!checkpoint.ok()) {
      require(!checkpoint.status().message().empty());
      continue;
    }
    require(parse_model_config(checkpoint->config_json, "printed").ok());
    for (const StoredTensor& t : checkpoint->weights->tensors()) {
      if (!t.dtype || t.bytes() > (1 << 20)) continue;
      std::vector<std::byte> out(static_cast<size_t>(t.bytes()));
      require(checkpoint->weights->read(t, 0, t.rows(), *t.dtype, out).ok());
      if (t.rows() > 1) {
        out.resize(out.size() / static_cast<size_t>(t.rows()));
        require(checkpoint->weights->read(t, t.rows() - 1, t.rows(), *t.dtype, out).ok());
      }
    }
  }
  return 0;
}
