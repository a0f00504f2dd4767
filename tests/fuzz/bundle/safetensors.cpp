// The input is a header. When it is accepted, the file that it describes is made and every tensor read.
#include "core/bundle/safetensors.hpp"

#include <vector>

#include "core/bundle/safetensors_header.hpp"
#include "tests/fuzz/bundle/memory_file.hpp"

using namespace tare;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string json(reinterpret_cast<const char*>(data), size);
  const auto header = parse_safetensors_header(json, "input");
  if (!header.ok()) {
    require(!header.status().message().empty());
    return 0;
  }
  if (header->data_bytes > (1 << 16)) return 0;
  const uint64_t length = size;
  std::string bytes(reinterpret_cast<const char*>(&length), 8);
  const fuzz::MemoryFile file(bytes + json + std::string(static_cast<size_t>(header->data_bytes), 'x'));
  const std::string path = file.path();
  const auto source = open_safetensors(std::span(&path, 1));
  require(source.ok());
  require((*source)->tensors().size() == header->tensors.size());
  require(stored_bytes(**source) == header->data_bytes);
  for (const StoredTensor& t : (*source)->tensors()) {
    if (!t.dtype) continue;
    std::vector<std::byte> out(static_cast<size_t>(t.bytes()));
    require((*source)->read(t, 0, t.rows(), *t.dtype, out).ok());
  }
  return 0;
}
