#include <doctest/doctest.h>

#include "core/engine/model_engine.hpp"
#include "tests/unit/engine/collector.hpp"
#include "tests/unit/engine/fake_executor.hpp"
#include "tests/unit/engine/fake_text.hpp"

namespace tare {
namespace {

using testing::ByteText;
using testing::Collected;
using testing::Collector;
using testing::FakeControl;
using testing::FakeExecutor;

// What a request of one prompt token gets when the model says `says`, byte by byte (its end is token 256).
struct Said {
  std::string says{};
  bool ends = true;
  std::vector<std::string> stop{};
  int32_t max_tokens = 0;
  bool ignore_eos = false;
};
Collected run(const Said& said) {
  FakeControl control;
  Collector collector;
  const ByteText text;
  for (char c : said.says) control.script.push_back(static_cast<uint8_t>(c));
  if (said.ends) control.script.push_back(ByteText::kEnd);
  control.script.resize(64, '.');
  ServedModel model;
  model.name = "m";
  model.text = &text;
  const ExecutorLimits limits{.max_step_tokens = 16,
                              .max_sequences = 4,
                              .context = 64,
                              .vocabulary = ByteText::kVocabulary,
                              .groups = {{full(), 4, 16}}};
  auto engine = ModelEngine::start(model, std::make_unique<FakeExecutor>(limits, control), {});
  REQUIRE(engine.ok());
  GenerateRequest request;
  request.prompt = {'p'};
  request.stop = said.stop, request.max_tokens = said.max_tokens, request.ignore_eos = said.ignore_eos;
  const auto id = (*engine)->submit(request, collector.sink());
  REQUIRE_MESSAGE(id.ok(), id.status().message());
  return collector.wait(*id);
}

TEST_CASE("the model's own end stops it and gives no text") {
  const Collected got = run({.says = "hello"});
  CHECK(got.text == "hello");
  CHECK(got.last.finish == FinishReason::stop);
  CHECK(got.tokens.back() == ByteText::kEnd);
  CHECK(got.last.output_tokens == 6);
}

TEST_CASE("ignore_eos goes on to max_tokens") {
  const Collected got = run({.says = "hi", .max_tokens = 5, .ignore_eos = true});
  CHECK(got.text == "hi..");
  CHECK(got.last.finish == FinishReason::length);
  CHECK(got.last.output_tokens == 5);
}

TEST_CASE("half a character is never sent") {
  const Collected got = run({.says = "a\xc3\xa9\xe2\x82\xac!"});
  CHECK(got.pieces == std::vector<std::string>{"a", "", "\xc3\xa9", "", "", "\xe2\x82\xac", "!", ""});
  const Collected cut = run({.says = "a\xe2\x82\xac", .max_tokens = 3});
  CHECK(cut.text == "a\xef\xbf\xbd");
  CHECK(cut.last.finish == FinishReason::length);
}

TEST_CASE("a stop string ends the text before it, and none of it is ever sent") {
  const Collected got = run({.says = "one END two", .stop = {"END", "two"}});
  CHECK(got.text == "one ");
  CHECK(got.last.finish == FinishReason::stop);
  CHECK(got.last.stop_match == "END");
  CHECK(got.last.output_tokens == 7);
  CHECK(got.pieces == std::vector<std::string>{"o", "n", "e", " ", "", "", ""});
}

TEST_CASE("what only looked like a stop string is sent") {
  const Collected got = run({.says = "EN, END", .stop = {"ENDE"}});
  CHECK(got.pieces == std::vector<std::string>{"", "", "EN,", " ", "", "", "", "END"});
  CHECK(got.text == "EN, END");
  CHECK(got.last.finish == FinishReason::stop);
  CHECK(got.last.stop_match == "");
}

TEST_CASE("a stop string at the last token is a stop, not a length") {
  const Collected got = run({.says = "abc", .ends = false, .stop = {"c"}, .max_tokens = 3});
  CHECK(got.text == "ab");
  CHECK(got.last.finish == FinishReason::stop);
  CHECK(got.last.stop_match == "c");
  const Collected held = run({.says = "abc", .ends = false, .stop = {"cd"}, .max_tokens = 3});
  CHECK(held.text == "abc");
  CHECK(held.last.finish == FinishReason::length);
}

}  // namespace
}  // namespace tare
