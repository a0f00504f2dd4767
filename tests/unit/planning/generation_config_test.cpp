// generation_config.json: what it says of sampling, and what is not believed.
#include "core/app/generation_config.hpp"

#include <doctest/doctest.h>

namespace tare {
namespace {

SamplingDefaults read(std::string_view json, size_t notes = 0) {
  std::vector<std::string> said;
  const SamplingDefaults out = read_generation_config(json, said);
  CHECK_MESSAGE(said.size() == notes, (said.empty() ? std::string() : said[0]));
  return out;
}

TEST_CASE("the fields that published models have are read") {
  // As Qwen2.5 Instruct has them (huggingface.co/Qwen/Qwen2.5-7B-Instruct).
  const SamplingDefaults qwen = read(R"({"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
    "repetition_penalty": 1.05, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "transformers_version": "4.37.0"})");
  CHECK(qwen == SamplingDefaults{0.7f, 0.8f, {}, 1.05f, 20});
  CHECK(to_string(qwen) == "temperature 0.7, top_p 0.8, repetition_penalty 1.05, top_k 20");
  CHECK(read("") == SamplingDefaults{});
  CHECK(read("{\"eos_token_id\": 2}") == SamplingDefaults{});
  CHECK(to_string(SamplingDefaults{}).empty());
}

TEST_CASE("do_sample false is greedy, top_k -1 is off, and what is absent stays absent") {
  CHECK(read(R"({"do_sample": false, "temperature": 0.9})").temperature == 0.0f);
  CHECK_FALSE(read(R"({"do_sample": true})").temperature.has_value());
  CHECK(read(R"({"top_k": -1})").top_k == 0);
  CHECK(read(R"({"temperature": null})") == SamplingDefaults{});
}

TEST_CASE("what the engine would refuse is left out, and said") {
  CHECK(read(R"({"temperature": -1, "top_p": 0.9})", 1) == SamplingDefaults{{}, 0.9f, {}, {}, {}});
  CHECK(read(R"({"top_p": 0})", 1) == SamplingDefaults{});
  CHECK(read(R"({"top_k": 2.5})", 1) == SamplingDefaults{});
  CHECK(read(R"({"top_k": 1e300})", 1) == SamplingDefaults{});
  CHECK(read(R"({"temperature": NaN})", 1) == SamplingDefaults{});
  CHECK(read(R"({"temperature": "warm"})", 1) == SamplingDefaults{});
  CHECK(read(R"({"repetition_penalty": 0})", 1) == SamplingDefaults{});
  CHECK(read("[1]", 1) == SamplingDefaults{});
  std::vector<std::string> notes;
  read_generation_config(R"({"temperature": -1})", notes);
  CHECK(notes.at(0) == "generation_config.json has temperature -1, expected a number from 0 to 10000: it is not used");
}

TEST_CASE("a request goes over the settings, and these over the checkpoint") {
  const SamplingDefaults request{0.1f, {}, {}, {}, {}}, settings{0.2f, 0.2f, {}, {}, {}}, file{0.3f, 0.3f, 0.3f, {}, 3};
  SamplingParameters s;
  request.or_else(settings).or_else(file).apply(s);
  CHECK(s.temperature == 0.1f);
  CHECK(s.top_p == 0.2f);
  CHECK(s.min_p == 0.3f);
  CHECK(s.top_k == 3);
  CHECK(s.repetition_penalty == 1);
}

}  // namespace
}  // namespace tare
