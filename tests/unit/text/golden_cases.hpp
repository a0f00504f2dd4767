// Reads the recorded cases under tests/golden/text. Tests only.
#pragma once
#include <string>

namespace tare::text_test {

std::string read_file(const std::string& path);        // empty when it cannot be read
std::string golden_path(const std::string& relative);  // tests/golden/text/<relative>

}  // namespace tare::text_test
