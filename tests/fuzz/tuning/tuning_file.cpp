// The input is a tuning file. What is accepted must print to a file that reads back the same.
#include "autotune/store/tuning_file.hpp"

#include <cstdlib>

using namespace tare;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto file = parse_tuning_file(std::string_view(reinterpret_cast<const char*>(data), size), "input");
  if (!file.ok()) {
    if (file.status().message().empty()) std::abort();
    return 0;
  }
  const std::string text = print_tuning_file(*file);
  const auto again = parse_tuning_file(text, "printed");
  if (!again.ok() || print_tuning_file(*again) != text) std::abort();
  return 0;
}
