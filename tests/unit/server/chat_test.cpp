// POST /v1/chat/completions without sockets.
#include <doctest/doctest.h>

#include "tests/unit/server/asking.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace tare;
using namespace tare::server;
using namespace tare::server::test;

namespace {
struct Chat {
  FakeEngine engine;
  Application application{{.api_keys = {}, .version = "1.2"}, engine};
  HttpResponse post(const std::string& body) { return ask(application, "POST", "/v1/chat/completions", body); }
  // With the model and one message; `more` begins with a comma.
  HttpResponse say(const std::string& more = {}) {
    return post("{\"model\":\"org/fake\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" + more + "}");
  }
  HttpResponse messages(const std::string& list) { return post("{\"model\":\"org/fake\",\"messages\":" + list + "}"); }
};
bool says(const std::string& message, const std::string& words) {
  INFO(message, " should say ", words);
  const bool found = message.find(words) != std::string::npos;
  CHECK(found);
  return found;
}
}  // namespace

TEST_CASE("chat: a plain answer has every field") {
  Chat chat;
  const HttpResponse response = chat.say();
  CHECK(response.status == 200);
  CHECK(response.content_type == "application/json");
  CHECK(at(response.body, "id").starts_with("\"chatcmpl-"));
  CHECK(at(response.body, "object") == "\"chat.completion\"");
  CHECK(at(response.body, "model") == "\"org/fake\"");
  CHECK(at(response.body, "system_fingerprint") == "\"tare/1.2\"");
  CHECK(at(response.body, "choices.0.index") == "0");
  CHECK(at(response.body, "choices.0.message") ==
        "{\"role\":\"assistant\",\"content\":\"Hello, world\",\"refusal\":null}");
  CHECK(at(response.body, "choices.0.logprobs") == "null");
  CHECK(at(response.body, "choices.0.finish_reason") == "\"stop\"");
  CHECK(at(response.body, "choices.1") == "(absent)");
  const auto prompt = static_cast<int64_t>(chat.engine.seen().at(0).prompt.size());
  CHECK(at(response.body, "usage") ==
        text("{\"prompt_tokens\":", prompt, ",\"completion_tokens\":13,\"total_tokens\":", prompt + 13, "}"));
}

TEST_CASE("chat: a stream says the role, the text, the end, the usage") {
  Chat chat;
  const auto all = events(chat.say(",\"stream\":true,\"stream_options\":{\"include_usage\":true}").body);
  REQUIRE(all.size() == 1 + 12 + 1 + 1 + 1);
  CHECK(at(all[0], "choices.0.delta") == "{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}");
  CHECK(at(all[0], "object") == "\"chat.completion.chunk\"");
  CHECK(at(all[0], "usage") == "null");
  std::string words;
  for (size_t i = 1; i <= 12; ++i) {
    CHECK(at(all[i], "id") == at(all[0], "id"));
    CHECK(at(all[i], "choices.0.finish_reason") == "null");
    const std::string piece = at(all[i], "choices.0.delta.content");
    words += piece.substr(1, piece.size() - 2);
  }
  CHECK(words == "Hello, world");
  CHECK(at(all[13], "choices.0.delta") == "{}");
  CHECK(at(all[13], "choices.0.finish_reason") == "\"stop\"");
  CHECK(at(all[14], "choices") == "[]");
  CHECK(at(all[14], "usage.completion_tokens") == "13");
  CHECK(all[15] == "[DONE]");
  // Without the option no chunk speaks of usage.
  for (const std::string& event : events(chat.say(",\"stream\":true").body))
    if (event != "[DONE]") CHECK(at(event, "usage") == "(absent)");
}

TEST_CASE("chat: several choices share one prompt") {
  Chat chat;
  const HttpResponse response = chat.say(",\"n\":3,\"max_tokens\":4,\"seed\":-5");
  CHECK(at(response.body, "choices.2.index") == "2");
  CHECK(at(response.body, "choices.2.message.content") == "\"Hell\"");
  CHECK(at(response.body, "choices.2.finish_reason") == "\"length\"");
  CHECK(at(response.body, "usage.completion_tokens") == "12");
  const auto seen = chat.engine.seen();
  REQUIRE(seen.size() == 3);
  CHECK(at(response.body, "usage.prompt_tokens") == std::to_string(seen[0].prompt.size()));
  for (int32_t i = 0; i < 3; ++i) {
    CHECK(seen[static_cast<size_t>(i)].choice == i);
    CHECK(seen[static_cast<size_t>(i)].sampling.seed == static_cast<uint64_t>(int64_t{-5}));
  }
  const auto all = events(chat.say(",\"n\":2,\"stream\":true,\"max_tokens\":2").body);
  std::string words[2];
  for (const std::string& event : all) {
    if (event == "[DONE]") continue;
    const std::string piece = at(event, "choices.0.delta.content");
    if (piece != "(absent)") words[at(event, "choices.0.index") == "1"] += piece;
  }
  CHECK(words[0] == "\"\"\"H\"\"e\"");
  CHECK(words[1] == words[0]);
}

TEST_CASE("chat: what the template gets") {
  Chat chat;
  CHECK(chat.messages(
                "[{\"role\":\"developer\",\"content\":\"be brief\"},{\"role\":\"user\",\"name\":\"ann\",\"content\":"
                "[{\"type\":\"text\",\"text\":\"one\"},{\"type\":\"text\",\"text\":\"two\"}]}]")
            .status == 200);
  const std::string context = chat.engine.text.last_context();
  CHECK(at(context, "messages.0") == "{\"role\":\"system\",\"content\":\"be brief\"}");
  CHECK(at(context, "messages.1") == "{\"role\":\"user\",\"content\":\"one\\ntwo\",\"name\":\"ann\"}");
  CHECK(at(context, "add_generation_prompt") == "true");
  CHECK(chat.say(",\"add_generation_prompt\":false,\"chat_template_kwargs\":{\"enable_thinking\":false}").status ==
        200);
  CHECK(at(chat.engine.text.last_context(), "enable_thinking") == "false");
  CHECK(at(chat.engine.text.last_context(), "add_generation_prompt") == "false");
  says(refused(chat.say(",\"chat_template_kwargs\":{\"messages\":[]}"), "chat_template_kwargs"), "'messages'");
  says(refused(chat.messages("[{\"role\":\"user\",\"content\":\"raise\"}]"), "messages"), "the template says: no");
  // An answer of ours is taken back as it is.
  CHECK(chat.messages("[{\"role\":\"assistant\",\"content\":\"a\",\"refusal\":null,\"tool_calls\":[],\"audio\":null}]")
            .status == 200);
}

TEST_CASE("chat: where a request is silent the model's defaults hold, and what it says goes over them") {
  Chat chat;
  chat.engine.sampling = {.temperature = 0.7f, .top_p = 0.8f, .min_p = {}, .repetition_penalty = 1.05f, .top_k = 20};
  REQUIRE(chat.say("").status == 200);
  SamplingParameters s = chat.engine.seen().at(0).sampling;
  CHECK(s.temperature == 0.7f);
  CHECK(s.top_p == 0.8f);
  CHECK(s.top_k == 20);
  CHECK(s.min_p == 0);
  CHECK(s.repetition_penalty == 1.05f);
  // Off by 0 and -1 is said too; null is silence.
  REQUIRE(chat.say(",\"temperature\":0,\"top_k\":-1,\"top_p\":null,\"repetition_penalty\":1").status == 200);
  s = chat.engine.seen().at(1).sampling;
  CHECK(s.temperature == 0);
  CHECK(s.top_k == 0);
  CHECK(s.top_p == 0.8f);
  CHECK(s.repetition_penalty == 1);
}

TEST_CASE("chat: how to generate reaches the engine") {
  Chat chat;
  CHECK(chat.say(",\"temperature\":0.5,\"top_p\":0.25,\"top_k\":7,\"min_p\":0.125,\"frequency_penalty\":1,"
                 "\"presence_penalty\":-1,\"repetition_penalty\":1.5,\"logit_bias\":{\"65\":-100,\"66\":1.5},"
                 "\"stop\":[\"x\",\"yy\"],\"stop_token_ids\":[3],\"ignore_eos\":true,\"skip_special_tokens\":false,"
                 "\"max_completion_tokens\":5,\"user\":\"u\",\"metadata\":{\"a\":\"b\"},\"service_tier\":\"auto\","
                 "\"store\":false,\"tools\":null,\"response_format\":{\"type\":\"text\"},\"modalities\":[\"text\"]")
            .status == 200);
  const GenerateRequest r = chat.engine.seen().at(0);
  CHECK(r.model == "org/fake");
  CHECK(r.sampling.temperature == 0.5f);
  CHECK(r.sampling.top_p == 0.25f);
  CHECK(r.sampling.top_k == 7);
  CHECK(r.sampling.min_p == 0.125f);
  CHECK(r.sampling.frequency_penalty == 1);
  CHECK(r.sampling.presence_penalty == -1);
  CHECK(r.sampling.repetition_penalty == 1.5f);
  CHECK(r.sampling.logit_bias == std::vector<std::pair<int32_t, float>>{{65, -100.f}, {66, 1.5f}});
  CHECK(r.sampling.logprobs == -1);
  CHECK_FALSE(r.sampling.seed.has_value());
  CHECK(r.stop == std::vector<std::string>{"x", "yy"});
  CHECK(r.stop_ids == std::vector<int32_t>{3});
  CHECK(r.ignore_eos);
  CHECK_FALSE(r.skip_special);
  CHECK(r.max_tokens == 5);
  chat.say(",\"top_k\":-1,\"top_p\":0,\"stop\":\"one\"");
  CHECK(chat.engine.seen().at(1).sampling.top_k == 0);
  CHECK(chat.engine.seen().at(1).sampling.top_p > 0);
  CHECK(chat.engine.seen().at(1).stop == std::vector<std::string>{"one"});
  CHECK(chat.engine.seen().at(1).max_tokens == 0);
}

TEST_CASE("chat: log probabilities of the text's tokens") {
  Chat chat;
  const HttpResponse response = chat.say(",\"logprobs\":true,\"top_logprobs\":2");
  CHECK(chat.engine.seen().at(0).sampling.logprobs == 2);
  CHECK(at(response.body, "choices.0.logprobs.refusal") == "null");
  CHECK(at(response.body, "choices.0.logprobs.content.0") ==
        "{\"token\":\"H\",\"logprob\":-0.5,\"bytes\":[72],\"top_logprobs\":["
        "{\"token\":\"H\",\"logprob\":-0.5,\"bytes\":[72]},{\"token\":\"b\",\"logprob\":-1.5,\"bytes\":[98]}]}");
  CHECK(at(response.body, "choices.0.logprobs.content.11.token") == "\"d\"");
  CHECK(at(response.body, "choices.0.logprobs.content.12") == "(absent)");  // the stop id has no text
  const auto all = events(chat.say(",\"logprobs\":true,\"stream\":true").body);
  CHECK(at(all[1], "choices.0.logprobs.content.0.token") == "\"H\"");
  CHECK(at(all[1], "choices.0.logprobs.content.0.top_logprobs") == "[]");
  CHECK(chat.engine.seen().at(1).sampling.logprobs == 0);
}

TEST_CASE("chat: wrong values are named with what was found and wanted") {
  Chat chat;
  const std::vector<std::pair<std::string, std::string>> wrong{
      {"\"temperature\":\"hot\"", "temperature is the string 'hot', expected a number from 0 to 2"},
      {"\"temperature\":-1", "temperature is the number -1"},
      {"\"top_p\":1.5", "expected a number from 0 to 1"},
      {"\"n\":0", "n is the number 0, expected a whole number from 1 to 128"},
      {"\"n\":1.5", "n is the number 1.5"},
      {"\"max_tokens\":0", "max_tokens is the number 0"},
      {"\"max_completion_tokens\":1e30", "max_completion_tokens is the number 1e+30"},
      {"\"stream\":1", "stream is the number 1, expected true or false"},
      {"\"stop\":7", "stop is the number 7"},
      {"\"stop\":\"\"", "empty string"},
      {"\"seed\":\"x\"", "seed is the string 'x', expected a whole number"},
      {"\"logit_bias\":{\"x\":1}", "the key 'x', expected a token id"},
      {"\"logprobs\":5", "logprobs is the number 5"},
      {"\"user\":7", "user is the number 7"}};
  for (const auto& [field, words] : wrong) {
    const std::string name = field.substr(1, field.find('"', 1) - 1);
    says(refused(chat.say("," + field), name), words);
  }
  says(refused(chat.say(",\"stop\":[1]"), "stop[0]"), "stop[0] is the number 1");
  says(refused(chat.say(",\"logit_bias\":{\"5\":101}"), "logit_bias.5"), "from -100 to 100");
  says(refused(chat.say(",\"top_logprobs\":2"), "top_logprobs"), "logprobs");
  says(refused(chat.say(",\"stream_options\":{}"), "stream_options"), "stream");
  says(refused(chat.say(",\"max_tokens\":1,\"max_completion_tokens\":2"), "max_completion_tokens"), "max_tokens is 1");
  says(refused(chat.post("{\"messages\":[]}"), "model"), "model is missing");
  says(refused(chat.post("{\"model\":7}"), "model"), "model is the number 7");
  says(refused(chat.post("{\"model\":\"org/fake\"}"), "messages"), "messages is missing");
  says(refused(chat.messages("[]"), "messages"), "at least one message");
  says(refused(chat.messages("[7]"), "messages[0]"), "the number 7");
  says(refused(chat.messages("[{\"role\":\"wizard\",\"content\":\"x\"}]"), "messages[0].role"), "the string 'wizard'");
  says(refused(chat.messages("[{\"role\":\"user\"}]"), "messages[0].content"), "messages[0].content is missing");
  says(refused(chat.messages("[{\"role\":\"user\",\"content\":7}]"), "messages[0].content"), "the number 7");
  CHECK(chat.engine.seen().empty());
}

TEST_CASE("chat: what is not implemented is named, what is unknown gets a suggestion") {
  Chat chat;
  for (const char* field :
       {"\"tools\":[{\"type\":\"function\"}]", "\"tool_choice\":\"auto\"", "\"functions\":[{}]",
        "\"response_format\":{\"type\":\"json_object\"}", "\"modalities\":[\"text\",\"audio\"]", "\"audio\":{}",
        "\"prediction\":{}", "\"parallel_tool_calls\":true", "\"store\":true", "\"web_search_options\":{}",
        "\"reasoning_effort\":\"low\"", "\"service_tier\":\"flex\"", "\"verbosity\":\"low\""}) {
    const std::string name = std::string(field).substr(1, std::string(field).find('"', 1) - 1);
    says(refused(chat.say(text(",", field)), name), "not implemented");
  }
  says(refused(chat.messages("[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{}}]}]"),
               "messages[0].content[0].type"),
       "image_url");
  says(refused(chat.messages("[{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{}]}]"),
               "messages[0].tool_calls"),
       "tool_calls");
  says(refused(chat.say(",\"temprature\":1"), "temprature"), "did you mean 'temperature'?");
  says(refused(chat.say(",\"zzz\":1"), "zzz"), "unknown field 'zzz'");
  says(refused(chat.messages("[{\"role\":\"user\",\"contents\":\"x\",\"content\":\"x\"}]"), "messages[0].contents"),
       "did you mean 'messages[0].content'?");
}

TEST_CASE("chat: what the engine cannot do") {
  Chat chat;
  says(refused(chat.post("{\"model\":\"nope\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}"), "model", 404),
       "'nope' is not served here, expected one of 'org/fake'");
  chat.say();
  const size_t prompt = chat.engine.seen().at(0).prompt.size();
  chat.engine.context = 20;
  const HttpResponse longer = chat.say();
  const std::string message = refused(longer, "messages");
  CHECK(at(longer.body, "error.code") == "\"context_length_exceeded\"");
  says(message, text("prompt has ", prompt, " tokens, the model takes 20 tokens"));
  chat.engine.context = 1000;

  chat.engine.refusal = failure(Code::exhausted, "queue is full");
  HttpResponse full = chat.say();
  says(refused(full, "", 429), "queue is full");
  CHECK(full.headers == std::vector<std::pair<std::string, std::string>>{{"Retry-After", "1"}});
  // The second choice is refused: the first is taken back.
  chat.engine.accept_first = 2;  // one was taken above
  chat.engine.held = true;
  refused(chat.say(",\"n\":2"), "", 429);
  CHECK(chat.engine.cancelled() == 1);
  chat.engine.held = false;

  chat.engine.accept_first = 0;
  chat.engine.refusal = failure(Code::unavailable, "shutting down");
  CHECK(chat.say().status == 503);
  chat.engine.refusal = invalid("token of logit_bias is 999, expected 0 to 257");
  CHECK(chat.say().status == 400);
  chat.engine.refusal = {};
  chat.engine.failure = failure(Code::internal, "the device is gone");
  says(refused(chat.say(), "", 500), "the device is gone");
  const auto all = events(chat.say(",\"stream\":true").body);
  CHECK(all.back() == "[DONE]");
  CHECK(at(all[all.size() - 2], "error.message") == "\"the device is gone\"");
  chat.engine.with_text = false;
  says(refused(chat.say(), "model"), "no tokenizer");
}

TEST_CASE("chat: nothing is taken while shutting down") {
  Chat chat;
  chat.application.drain();
  CHECK(chat.say().status == 503);
  CHECK(ask(chat.application, "GET", "/ready").status == 503);
  CHECK(ask(chat.application, "GET", "/health").status == 200);
}
