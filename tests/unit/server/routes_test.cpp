// The other routes without sockets: models, completions, tokens, figures, keys.
#include <doctest/doctest.h>

#include "plugins/server_openai/generation_run.hpp"
#include "tests/unit/server/asking.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace tare;
using namespace tare::server;
using namespace tare::server::test;

namespace {
struct Site {
  FakeEngine engine;
  Application application{{.api_keys = {}, .version = "1.2"}, engine};
  HttpResponse get(const std::string& target) { return ask(application, "GET", target); }
  HttpResponse post(const std::string& target, const std::string& body) {
    return ask(application, "POST", target, body);
  }
  HttpResponse complete(const std::string& more) {
    return post("/v1/completions", "{\"model\":\"org/fake\"," + more + "}");
  }
};
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
}  // namespace

TEST_CASE("models are listed and found") {
  Site site;
  const std::string model = "{\"id\":\"org/fake\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"tare\"}";
  CHECK(site.get("/v1/models").body == "{\"object\":\"list\",\"data\":[" + model + "]}");
  CHECK(site.get("/v1/models/org/fake").body == model);
  CHECK(site.get("/v1/models/org%2Ffake?x=1").body == model);
  const HttpResponse none = site.get("/v1/models/nope");
  CHECK(none.status == 404);
  CHECK(at(none.body, "error.code") == "\"model_not_found\"");
}

TEST_CASE("completions: prompts of every kind") {
  Site site;
  const HttpResponse one = site.complete("\"prompt\":\"hi\"");
  CHECK(at(one.body, "object") == "\"text_completion\"");
  CHECK(at(one.body, "id").starts_with("\"cmpl-"));
  CHECK(at(one.body, "choices") ==
        "[{\"index\":0,\"text\":\"Hello, world\",\"logprobs\":null,\"finish_reason\":\"stop\"}]");
  CHECK(at(one.body, "usage.prompt_tokens") == "3");
  CHECK(site.engine.seen().at(0).prompt == std::vector<int32_t>{256, 'h', 'i'});
  CHECK(site.engine.seen().at(0).max_tokens == 16);  // OpenAI's default
  const HttpResponse many = site.complete("\"prompt\":[[1,2],[3]],\"n\":2,\"max_tokens\":1");
  CHECK(at(many.body, "choices.3.index") == "3");
  CHECK(at(many.body, "usage") == "{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}");
  CHECK(site.engine.seen().at(3).prompt == std::vector<int32_t>{3});
  CHECK(site.engine.seen().at(4).choice == 1);
  CHECK(at(site.complete("\"prompt\":[104,105]").body, "usage.prompt_tokens") == "2");
  CHECK(at(site.complete("\"prompt\":[\"a\",\"b\"]").body, "choices.1.index") == "1");
  for (const char* wrong :
       {"\"prompt\":7", "\"prompt\":[]", "\"prompt\":[1,\"a\"]", "\"prompt\":[[]]", "\"prompt\":[-1]",
        "\"prompt\":[[1.5]]", "\"prompt\":null", "\"prompt\":\"x\",\"n\":128,\"best_of\":200",
        "\"prompt\":\"x\",\"suffix\":\"y\"", "\"prompt\":\"x\",\"tools\":[]", "\"prompt\":\"x\",\"logprobs\":true",
        "\"prompt\":\"x\",\"max_tokens\":0"})
    CHECK_MESSAGE(site.complete(wrong).status == 400, wrong);
}

TEST_CASE("completions: echo and log probabilities") {
  Site site;
  CHECK(at(site.complete("\"prompt\":\"hi\",\"echo\":true,\"max_tokens\":2").body, "choices.0.text") == "\"hiHe\"");
  CHECK(at(site.complete("\"prompt\":[104,105],\"echo\":true,\"max_tokens\":1").body, "choices.0.text") == "\"hiH\"");
  const HttpResponse response = site.complete("\"prompt\":\"hi\",\"logprobs\":2,\"max_tokens\":2");
  CHECK(at(response.body, "choices.0.logprobs") ==
        "{\"tokens\":[\"H\",\"e\"],\"token_logprobs\":[-0.5,-0.5],\"top_logprobs\":[{\"H\":-0.5,\"b\":-1.5},"
        "{\"e\":-0.5,\"b\":-1.5}],\"text_offset\":[0,1]}");
  const auto all = events(site.complete("\"prompt\":\"hi\",\"logprobs\":0,\"stream\":true,\"max_tokens\":2").body);
  REQUIRE(all.size() == 4);
  CHECK(at(all[0], "choices.0.logprobs.text_offset") == "[0]");
  CHECK(at(all[1], "choices.0.logprobs.text_offset") == "[1]");
  CHECK(at(all[1], "choices.0.text") == "\"e\"");
  CHECK(at(all[2], "choices.0.finish_reason") == "\"length\"");
  const auto echoed = events(site.complete("\"prompt\":\"hi\",\"echo\":true,\"stream\":true,\"max_tokens\":1").body);
  CHECK(at(echoed[0], "choices.0.text") == "\"hi\"");
  site.complete("\"prompt\":\"hi\",\"logprobs\":0,\"echo\":true,\"max_tokens\":2");
  CHECK(site.engine.seen().back().echo_logprobs);
}

TEST_CASE("tokens there and back") {
  Site site;
  CHECK(site.post("/tokenize", "{\"prompt\":\"hi\"}").body ==
        "{\"count\":3,\"max_model_len\":1000,\"tokens\":[256,104,105]}");
  CHECK(site.post("/tokenize",
                  "{\"model\":\"org/fake\",\"prompt\":\"h\",\"add_special_tokens\":false,"
                  "\"return_token_strs\":true}")
            .body == "{\"count\":1,\"max_model_len\":1000,\"tokens\":[104],\"token_strs\":[\"h\"]}");
  CHECK(at(site.post("/tokenize", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}").body, "tokens.0") == "256");
  CHECK(site.post("/tokenize", "{}").status == 400);
  CHECK(site.post("/tokenize", "{\"prompt\":\"a\",\"messages\":[]}").status == 400);
  CHECK(site.post("/tokenize", "{\"prompt\":\"a\",\"model\":\"nope\"}").status == 404);
  CHECK(site.post("/detokenize", "{\"tokens\":[256,104,105]}").body == "{\"prompt\":\"<bos>hi\"}");
  refused(site.post("/detokenize", "{\"tokens\":[5,258]}"), "tokens[1]");
  refused(site.post("/detokenize", "{\"tokens\":[-1]}"), "tokens[0]");
  refused(site.post("/detokenize", "{}"), "tokens");
}

TEST_CASE("bodies that are no JSON object") {
  Site site;
  for (const char* body : {"", "{", "[]", "7", "\"x\"", "{\"a\":1,}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xFF\"}"}) {
    const HttpResponse response = site.post("/v1/chat/completions", body);
    CHECK(response.status == 400);
    CHECK(at(response.body, "error.code") == "\"invalid_json\"");
  }
}

TEST_CASE("routes, methods, the front page") {
  Site site;
  CHECK(has(site.get("/").body, "/v1/chat/completions"));
  CHECK(site.get("/health").body == "{\"status\":\"ok\",\"version\":\"1.2\"}");
  CHECK(site.get("/ready").status == 200);
  site.engine.is_ready = false;
  CHECK(site.get("/ready").status == 503);
  refused(site.get("/nope"), "", 404);
  const HttpResponse wrong = site.get("/v1/chat/completions");
  refused(wrong, "", 405);
  CHECK(wrong.headers.back() == std::pair<std::string, std::string>{"Allow", "POST, OPTIONS"});
  CHECK(site.post("/v1/models", "{}").status == 405);
  CHECK(ask(site.application, "DELETE", "/v1/models/org/fake").status == 405);
  CHECK(ask(site.application, "OPTIONS", "/v1/models").status == 204);
  CHECK(ask(site.application, "HEAD", "/v1/models").status == 200);
  CHECK(site.get("/v1/models/").status == 200);
}

TEST_CASE("figures for Prometheus") {
  Site site;
  site.complete("\"prompt\":\"hi\"");
  site.application.metrics().count_request("/v1/completions", 200);
  const HttpResponse response = site.get("/metrics");
  CHECK(response.content_type.starts_with("text/plain; version=0.0.4"));
  for (const char* line :
       {"# TYPE tare_requests_running gauge", "# HELP tare_steps_total ", "tare_steps_total{model=\"org/fake\"} 42\n",
        "tare_step_seconds_total{model=\"org/fake\"} 0.5\n",
        "tare_http_requests_total{route=\"/v1/completions\",code=\"200\"} 1\n",
        "# TYPE tare_time_to_first_token_seconds histogram",
        "tare_time_to_first_token_seconds_bucket{model=\"org/fake\",le=\"+Inf\"} 1\n",
        "tare_time_to_first_token_seconds_count{model=\"org/fake\"} 1\n",
        "tare_time_per_output_token_seconds_count{model=\"org/fake\"} 12\n"})
    CHECK_MESSAGE(has(response.body, line), line);
}

TEST_CASE("keys are asked for, but not for liveness") {
  FakeEngine engine;
  Application application({.api_keys = {"first-secret", "second-secret"}, .version = "1"}, engine);
  CHECK(ask(application, "GET", "/health").status == 200);
  CHECK(ask(application, "GET", "/ready").status == 200);
  for (const char* wrong : {"", "Bearer", "Bearer ", "Bearer first-secre", "Bearer first-secret2", "first-secret",
                            "Basic first-secret", "Bearer nope"}) {
    const HttpResponse response = ask(application, "GET", "/v1/models", "", wrong);
    CHECK_MESSAGE(response.status == 401, wrong);
    CHECK(at(response.body, "error.code") == "\"invalid_api_key\"");
    CHECK_FALSE(has(response.body, "secret"));
  }
  CHECK(ask(application, "GET", "/metrics").status == 401);
  CHECK(ask(application, "GET", "/v1/models", "", "Bearer first-secret").status == 200);
  CHECK(ask(application, "GET", "/v1/models", "", "bearer  second-secret").status == 200);
}

TEST_CASE("a client that does not read costs its own answer") {
  FakeEngine engine;
  engine.pieces = {std::string(100000, 'x')};
  engine.endless = true;
  Application application({}, engine);
  Reply reply = application.handle({.method = "POST",
                                    .target = "/v1/completions",
                                    .authorization = {},
                                    .request_id = {},
                                    .body = "{\"model\":\"org/fake\",\"prompt\":\"x\",\"max_tokens\":100000}"});
  std::unique_ptr<GenerationRun> run;
  REQUIRE(std::holds_alternative<GenerationPlan>(reply));
  const Refusal refusal = GenerationRun::start(
      engine, application.metrics(), std::get<GenerationPlan>(reply), [] {}, &run);
  REQUIRE_FALSE(refusal.has_value());
  for (int i = 0; i < 5000 && !run->overflowed(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(run->overflowed());
  run.reset();
  CHECK(engine.wait_cancelled(1));
}
