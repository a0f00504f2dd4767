#include "core/bundle/gguf_head.hpp"

#include <algorithm>
#include <cstring>

#include "core/base/file.hpp"

namespace tare {
namespace {

constexpr int64_t kMostBytes = 512 << 20;
constexpr uint32_t kString = 8, kList = 9;
constexpr int64_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

class Skipper {
 public:
  explicit Skipper(const std::string& bytes) : bytes_(bytes) {}
  size_t at = 24;
  bool ok = true;
  template <class T>
  T get() {
    T value{};
    if (at + sizeof value > bytes_.size()) return ok = false, value;
    std::memcpy(&value, bytes_.data() + at, sizeof value);
    at += sizeof value;
    return value;
  }
  void skip(uint64_t count) {
    if (count > bytes_.size() - at)
      ok = false;
    else
      at += count;
  }
  void value(uint32_t type, int depth) {
    if (!ok) return;
    if (type == kString) return skip(get<uint64_t>());
    if (type > 12 || depth > 8) return void(ok = false);
    if (type != kList) return skip(static_cast<uint64_t>(kSizes[type]));
    const auto of = get<uint32_t>();
    const auto count = get<uint64_t>();
    if (of <= 12 && kSizes[of] > 0 && count <= bytes_.size()) return skip(count * static_cast<uint64_t>(kSizes[of]));
    for (uint64_t i = 0; i < count && ok; ++i) value(of, depth + 1);
  }

 private:
  const std::string& bytes_;
};

}  // namespace

Result<std::string> gguf_without_tensors(const std::string& path) {
  TARE_ASSIGN_OR_RETURN(const auto file, File::open(path));
  std::string bytes(static_cast<size_t>(std::min(file->bytes(), kMostBytes)), '\0');
  TARE_RETURN_IF_ERROR(file->read(0, std::as_writable_bytes(std::span(bytes))));
  Skipper in(bytes);
  uint64_t pairs = 0;
  if (bytes.size() < 24) return failure(Code::corrupt, path, ": is too short for a GGUF file");
  std::memcpy(&pairs, bytes.data() + 16, 8);
  for (uint64_t i = 0; i < pairs && in.ok; ++i) {
    in.value(kString, 0);
    const auto type = in.get<uint32_t>();
    in.value(type, 0);
  }
  if (!in.ok) return failure(Code::corrupt, path, ": its metadata cannot be read over");
  bytes.resize(in.at);
  std::memset(bytes.data() + 8, 0, 8);  // no tensors
  bytes.resize((bytes.size() + 31) / 32 * 32, '\0');
  return bytes;
}

}  // namespace tare
