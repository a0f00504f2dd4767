#include "core/bundle/checkpoint.hpp"

namespace tare {
Result<Checkpoint> open_gguf(const std::string& path, std::span<const ModelFamily* const>, const CheckpointOptions&) {
  return failure(Code::unsupported, path, ": GGUF is not read yet");
}
}  // namespace tare
