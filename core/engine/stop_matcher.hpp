// StopMatcher: finds stop strings in text that comes in pieces. Text is held back while it could be the beginning of a
// stop string, so what has left never needs to be taken back. One thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace tare {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // Adds `piece`; returns the text that is now certain. The stop string that is completed first ends the text (of two
  // that end at the same character, the longer): how the text was cut into pieces makes no difference. Worked example:
  // stops {"</s>"}: push("a<") gives "a", push("/") gives "", push("b") gives "</b".
  std::string push(std::string_view piece);
  // What is still held back; nothing after a match.
  std::string finish();

  bool matched() const noexcept { return matched_; }
  const std::string& match() const noexcept { return match_; }

 private:
  std::vector<std::string> stops_;
  std::string held_, match_;
  bool matched_ = false;
};

}  // namespace tare
