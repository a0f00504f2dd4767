#include "core/engine/stop_matcher.hpp"

#include <doctest/doctest.h>

#include <random>

namespace tare {
namespace {

// Everything that `matcher` lets out when `text` comes cut at random.
std::string streamed(StopMatcher& matcher, std::string_view text, std::mt19937& random) {
  std::string out;
  while (!text.empty()) {
    const size_t n = std::min<size_t>(1 + random() % 4, text.size());
    out += matcher.push(text.substr(0, n));
    text.remove_prefix(n);
  }
  return out + matcher.finish();
}

TEST_CASE("text that could begin a stop string waits") {
  StopMatcher matcher({"</s>"});
  CHECK(matcher.push("a<") == "a");
  CHECK(matcher.push("/") == "");
  CHECK(matcher.push("b<") == "</b");
  CHECK(matcher.push("/s>tail") == "");
  CHECK(matcher.matched());
  CHECK(matcher.match() == "</s>");
  CHECK(matcher.push("more") == "");
  CHECK(matcher.finish() == "");
}

TEST_CASE("what was held back comes out at the end") {
  StopMatcher matcher({"stop"});
  CHECK(matcher.push("do not sto") == "do not ");
  CHECK(matcher.finish() == "sto");
  CHECK_FALSE(matcher.matched());
}

TEST_CASE("the stop string that is complete first wins, the longer of two that end together") {
  StopMatcher first({"abcd", "c"});
  CHECK(first.push("xabcd") == "xab");
  CHECK(first.match() == "c");
  StopMatcher longer({"b", "ab"});
  CHECK(longer.push("xab") == "x");
  CHECK(longer.match() == "ab");
  StopMatcher self({"aab"});
  CHECK(self.push("aaa") == "a");
  CHECK(self.push("b") == "");
  CHECK(self.matched());
}

TEST_CASE("no stop strings: text passes at once") {
  StopMatcher matcher({});
  CHECK(matcher.push("abc") == "abc");
  CHECK(matcher.finish() == "");
}

TEST_CASE("how text is cut makes no difference, and a stop string never gets out") {
  std::mt19937 random(7);
  int matches = 0;
  for (int round = 0; round < 5000; ++round) {
    const auto letters = [&](size_t n) {
      std::string out;
      while (n-- > 0) out += static_cast<char>('a' + random() % 3);
      return out;
    };
    std::vector<std::string> stops;
    for (size_t i = 1 + random() % 3; i != 0; --i) stops.push_back(letters(1 + random() % 5));
    const std::string text = letters(random() % 40);
    // By definition: the earliest end, then the earliest beginning.
    size_t end = std::string::npos, begin = std::string::npos;
    for (const std::string& stop : stops)
      if (const size_t at = text.find(stop); at != std::string::npos)
        if (at + stop.size() < end || (at + stop.size() == end && at < begin)) begin = at, end = at + stop.size();
    StopMatcher matcher(stops);
    const std::string out = streamed(matcher, text, random);
    CHECK(matcher.matched() == (end != std::string::npos));
    CHECK(out == text.substr(0, begin));
    matches += matcher.matched();
    for (const std::string& stop : stops) CHECK(out.find(stop) == std::string::npos);
  }
  CHECK(matches > 1000);
}

}  // namespace
}  // namespace tare
