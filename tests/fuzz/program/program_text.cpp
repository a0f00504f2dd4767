// libFuzzer: any bytes as Program text. What parses must print, and parse again to the same print.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/program/program_text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const tare::OpTable ops = tare::builtin_ops();
  const auto parsed = tare::parse_program({reinterpret_cast<const char*>(data), size}, ops);
  if (!parsed.ok()) return 0;
  const std::string printed = tare::print_program(*parsed);
  const auto again = tare::parse_program(printed, ops);
  if (!again.ok() || tare::print_program(*again) != printed) std::abort();
  return 0;
}
