#include "core/engine/wire.hpp"

#include <doctest/doctest.h>

#include <random>

namespace tare {
namespace {

using Random = std::mt19937_64;

int32_t number(Random& random) { return static_cast<int32_t>(random()); }
float real(Random& random) { return static_cast<float>(random() % 100000) / 1000 - 50; }
std::string word(Random& random) {
  std::string out(random() % 20, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}
std::vector<int32_t> ids(Random& random) {
  std::vector<int32_t> out(random() % 30);
  for (int32_t& id : out) id = number(random);
  return out;
}
std::vector<std::pair<int32_t, float>> bias(Random& random) {
  std::vector<std::pair<int32_t, float>> out(random() % 5);
  for (auto& [id, value] : out) id = number(random), value = real(random);
  return out;
}

GenerateRequest random_request(Random& random) {
  GenerateRequest request;
  request.model = word(random), request.prompt = ids(random), request.choice = number(random);
  request.max_tokens = number(random), request.stop_ids = ids(random);
  for (uint64_t i = random() % 4; i != 0; --i) request.stop.push_back(word(random));
  request.ignore_eos = random() % 2, request.skip_special = random() % 2, request.echo_logprobs = random() % 2;
  SamplingParameters& s = request.sampling;
  s.temperature = real(random), s.top_p = real(random), s.min_p = real(random), s.top_k = number(random);
  s.frequency_penalty = real(random), s.presence_penalty = real(random), s.repetition_penalty = real(random);
  if (random() % 2) s.seed = random();
  s.logprobs = number(random), s.logit_bias = bias(random);
  return request;
}

StepInput random_step(Random& random) {
  StepInput step;
  step.token_ids = ids(random), step.positions = ids(random), step.sequence_begin = ids(random);
  step.context_lengths = ids(random), step.logit_row_tokens = ids(random);
  for (uint64_t i = random() % 4; i != 0; --i) step.page_tables.push_back({number(random), ids(random)});
  for (uint64_t i = random() % 4; i != 0; --i) {
    SamplingInput s;
    s.temperature = real(random), s.top_p = real(random), s.min_p = real(random), s.top_k = number(random);
    s.frequency_penalty = real(random), s.presence_penalty = real(random), s.repetition_penalty = real(random);
    s.seed = random(), s.choice = number(random), s.position = number(random), s.logprobs = number(random);
    s.prompt = ids(random), s.output = ids(random), s.bias = bias(random);
    step.sampling.push_back(s);
  }
  return step;
}

SampledLogprobs random_logprobs(Random& random) {
  SampledLogprobs out{.drawn = real(random), .top = {}};
  for (uint64_t i = random() % 4; i != 0; --i) out.top.push_back({number(random), real(random)});
  return out;
}
bool same(const SampledLogprobs& a, const SampledLogprobs& b) {
  if (a.drawn != b.drawn || a.top.size() != b.top.size()) return false;
  for (size_t i = 0; i < a.top.size(); ++i)
    if (a.top[i].id != b.top[i].id || a.top[i].logprob != b.top[i].logprob) return false;
  return true;
}

GenerateEvent random_event(Random& random) {
  GenerateEvent event;
  event.request = random(), event.text = word(random), event.stop_match = word(random);
  event.finish = static_cast<FinishReason>(random() % 5);
  for (uint64_t i = random() % 4; i != 0; --i) event.tokens.push_back({number(random), random_logprobs(random)});
  if (event.finish == FinishReason::error) event.error = Status(Code::exhausted, word(random));
  event.prompt_tokens = number(random), event.output_tokens = number(random);
  return event;
}

TEST_CASE("requests and steps come back as they were") {
  Random random(1);
  for (int i = 0; i < 500; ++i) {
    const GenerateRequest request = random_request(random);
    const auto request_back = decode_request(encode(request));
    REQUIRE(request_back.ok());
    CHECK(*request_back == request);
    const StepInput step = random_step(random);
    const auto step_back = decode_step(encode(step));
    REQUIRE(step_back.ok());
    CHECK(*step_back == step);
  }
}

TEST_CASE("events, step outputs and cancels come back as they were") {
  Random random(2);
  for (int i = 0; i < 500; ++i) {
    const GenerateEvent event = random_event(random);
    const auto back = decode_event(encode(event));
    REQUIRE(back.ok());
    CHECK(back->request == event.request);
    CHECK(back->text == event.text);
    CHECK(back->finish == event.finish);
    CHECK(back->stop_match == event.stop_match);
    CHECK(back->error.code() == event.error.code());
    CHECK(back->error.message() == event.error.message());
    CHECK(back->prompt_tokens == event.prompt_tokens);
    CHECK(back->output_tokens == event.output_tokens);
    REQUIRE(back->tokens.size() == event.tokens.size());
    for (size_t t = 0; t < event.tokens.size(); ++t) {
      CHECK(back->tokens[t].id == event.tokens[t].id);
      CHECK(same(back->tokens[t].logprobs, event.tokens[t].logprobs));
    }
    StepOutput output{.ids = ids(random), .logprobs = {random_logprobs(random), random_logprobs(random)}};
    const auto output_back = decode_output(encode(output));
    REQUIRE(output_back.ok());
    CHECK(output_back->ids == output.ids);
    REQUIRE(output_back->logprobs.size() == 2);
    CHECK(same(output_back->logprobs[1], output.logprobs[1]));
    const uint64_t number = random();
    const auto cancel_back = decode_cancel(encode_cancel(number));
    REQUIRE(cancel_back.ok());
    CHECK(*cancel_back == number);
  }
}

TEST_CASE("every truncation and every trailing byte is refused") {
  Random random(3);
  for (int i = 0; i < 30; ++i) {
    const std::string request = encode(random_request(random)), step = encode(random_step(random));
    for (size_t n = 0; n < request.size(); ++n)
      CHECK_FALSE(decode_request(std::string_view(request).substr(0, n)).ok());
    for (size_t n = 0; n < step.size(); ++n) CHECK_FALSE(decode_step(std::string_view(step).substr(0, n)).ok());
    CHECK_FALSE(decode_request(request + '\0').ok());
    CHECK_FALSE(decode_step(step + '\0').ok());
  }
}

TEST_CASE("hostile bytes end in a value or a sentence") {
  Random random(4);
  int refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = i % 2 ? encode(random_event(random)) : encode(random_step(random));
    for (uint64_t flips = 1 + random() % 4; flips != 0; --flips)
      bytes[6 + random() % (bytes.size() - 6)] = static_cast<char>(random());
    const Status status = i % 2 ? decode_event(bytes).status() : decode_step(bytes).status();
    if (status.ok()) continue;
    ++refused;
    CHECK(!status.message().empty());
  }
  CHECK(refused > 1000);
}

TEST_CASE("a list's count is held against the bytes at hand") {
  std::string bytes = encode(StepInput{});
  for (size_t i = 6; i < 14; ++i) bytes[i] = '\xff';  // the count of token_ids: 2^64 - 1
  const auto step = decode_step(bytes);
  REQUIRE_FALSE(step.ok());
  CHECK(step.status().message().find("list of 18446744073709551615 elements") != std::string::npos);
}

TEST_CASE("another kind, version or beginning is named") {
  CHECK(decode_request(encode_cancel(1)).status().message() == "message is of kind 1, expected 0 (request)");
  std::string bytes = encode_cancel(1);
  bytes[4] = 9;
  CHECK(decode_cancel(bytes).status().message() == "message has version 9, expected 1");
  bytes[0] = 'X';
  CHECK(decode_cancel(bytes).status().message() == "message does not begin with \"TARE\"");
  CHECK_FALSE(decode_cancel("").ok());
}

TEST_CASE("values outside an enum are refused") {
  GenerateEvent event;
  std::string bytes = encode(event);
  // kind byte, request (8), tokens' count (8), text's count (8), then `finish`.
  bytes[6 + 24] = 5;
  CHECK(decode_event(bytes).status().message() == "event: message has 5 where 0 to 4 was expected");
}

}  // namespace
}  // namespace tare
