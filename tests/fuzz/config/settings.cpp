// The input is a settings file. What is accepted must print to settings that read back the same.
#include "core/config/settings.hpp"

#include <cstdlib>

using namespace tare;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto settings = parse_settings(std::string_view(reinterpret_cast<const char*>(data), size), "input");
  if (!settings.ok()) {
    if (settings.status().message().empty()) std::abort();
    return 0;
  }
  const std::string text = print_settings(*settings);
  const auto again = parse_settings(text, "printed");
  if (!again.ok() || print_settings(*again) != text) std::abort();
  return 0;
}
