#include "core/plugin/c_program.hpp"

#include <cstring>
#include <optional>

namespace tare {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30, kMaxErrorBytes = 4096;

// Copies what the plugin returned (at most `limit` bytes) and gives it back to the plugin.
std::optional<std::string> take(char* from, void (*release)(char*), size_t limit) {
  if (from == nullptr) return std::nullopt;
  std::string out(from, strnlen(from, limit));
  release(from);
  return out;
}

}  // namespace

Result<std::string> CProgram::program(std::string_view config_json) const {
  const PluginDescriptor& d = library_->descriptor();
  // C code may count on a NUL behind the text; a view does not promise one.
  const std::string config(config_json);
  char* returned_text = nullptr;
  char* returned_error = nullptr;
  const int32_t code = d.program(config.c_str(), config.size(), &returned_text, &returned_error);
  auto program_text = take(returned_text, d.release, kMaxTextBytes);
  auto error = take(returned_error, d.release, kMaxErrorBytes);
  if (code != 0) {
    std::string reason = error.value_or(text("returned ", code, " and gave no reason"));
    for (char& c : reason)
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    return failure(Code::invalid, "plugin '", id_, "': ", reason);
  }
  if (!program_text || program_text->empty())
    return failure(Code::internal, "plugin '", id_, "' (", file_, ") returned 0 and no text, expected Program text");
  if (program_text->size() >= kMaxTextBytes)
    return failure(Code::exhausted, "plugin '", id_, "' (", file_, ") returned a text of 1 GiB or more");
  return std::move(*program_text);
}

}  // namespace tare
