#include "tests/unit/text/golden_cases.hpp"

#include <fstream>
#include <iterator>

namespace tare::text_test {

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string golden_path(const std::string& relative) {
  return std::string(TARE_SOURCE_DIR) + "/tests/golden/text/" + relative;
}

}  // namespace tare::text_test
