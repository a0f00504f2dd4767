#include "core/app/input_lines.hpp"

#include <boost/json.hpp>
#include <fstream>
#include <iostream>
#include <iterator>

namespace tare {
namespace {

int answer_lines(std::istream& in, const std::function<Result<std::string>(const std::string&)>& answer) {
  int code = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    const Result<std::string> result = answer(line);
    if (!result.ok()) code = 1;
    std::cout << (result.ok() ? *result
                              : boost::json::serialize(boost::json::object{{"error", result.status().message()}}))
              << std::endl;  // a caller that talks to us line by line waits for it
  }
  return code;
}

}  // namespace

int answer_input(const TextInput& input, const std::function<Result<std::string>(const std::string&)>& answer) {
  std::ifstream file;
  if (!input.argument && !input.file.empty()) {
    file.open(input.file, std::ios::binary);
    if (!file) {
      std::cerr << "tare: " << input.file << " cannot be opened for reading\n";
      return 1;
    }
  }
  std::istream& in = input.file.empty() ? std::cin : file;
  if (input.lines) {
    if (!input.argument) return answer_lines(in, answer);
    std::istringstream one(*input.argument);
    return answer_lines(one, answer);
  }
  const std::string whole = input.argument ? *input.argument : std::string(std::istreambuf_iterator<char>(in), {});
  const Result<std::string> result = answer(whole);
  if (!result.ok()) {
    std::cerr << "tare: " << result.status().message() << '\n';
    return 1;
  }
  std::cout << *result << '\n';
  return 0;
}

}  // namespace tare
