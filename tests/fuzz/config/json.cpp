// The input is a config.json. What is accepted must print to values that print the same again.
#include <cstdlib>

#include "core/config/model_config.hpp"

using namespace tare;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto values = parse_model_config(std::string_view(reinterpret_cast<const char*>(data), size), "input");
  if (!values.ok()) {
    if (values.status().message().empty()) std::abort();
    return 0;
  }
  const std::string text = print_model_config(*values);
  const auto again = parse_model_config(text, "printed");
  if (!again.ok() || print_model_config(*again) != text) std::abort();
  return 0;
}
