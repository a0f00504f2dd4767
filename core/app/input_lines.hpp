// Text for tokenize, detokenize and template: from an argument, a file or standard input; whole, or one JSON value a
// line.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "core/api/status.hpp"

namespace tare {

struct TextInput {
  std::optional<std::string> argument;
  std::string file;  // "" with no argument: standard input
  bool lines = false;
};
// Calls `answer` with the whole text, or with each line that is not empty, and prints what it returns. With `lines` a
// failure is answered in its place as {"error": "..."} and the rest goes on; 0, or 1 when anything failed.
int answer_input(const TextInput& input, const std::function<Result<std::string>(const std::string&)>& answer);

}  // namespace tare
