#include "tests/unit/server/asking.hpp"

#include <doctest/doctest.h>

#include <charconv>
#include <chrono>
#include <thread>

#include "plugins/server_openai/generation_run.hpp"

namespace tare::server::test {

HttpResponse ask(Application& application, std::string_view method, std::string_view target, std::string body,
                 std::string authorization) {
  HttpRequest request{.method = std::string(method),
                      .target = std::string(target),
                      .authorization = std::move(authorization),
                      .request_id = "req-test",
                      .body = std::move(body)};
  if (auto refused = application.refuse(request)) return *refused;
  Reply reply = application.handle(request);
  if (auto* response = std::get_if<HttpResponse>(&reply)) return *response;
  std::unique_ptr<GenerationRun> run;
  std::atomic<int> woken{0};
  const Refusal refusal = GenerationRun::start(
      application.engine(), application.metrics(), std::move(std::get<GenerationPlan>(reply)), [&woken] { ++woken; },
      &run);
  if (refusal) return to_response(*refusal);
  std::string stream;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!run->finished() && std::chrono::steady_clock::now() < deadline) {
    stream += run->drain();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(run->finished());
  CHECK(woken > 0);
  if (!run->streams()) return run->response();
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.body = stream;
  return response;
}

std::string at(const std::string& json, std::string_view path) {
  const auto parsed = parse_json(json);
  INFO(json);
  REQUIRE(parsed.ok());
  const Json* value = &*parsed;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    if (const auto* object = value->as<JsonObject>()) {
      value = find(*object, name);
    } else if (const auto* array = value->as<JsonArray>()) {
      size_t index = 0;
      std::from_chars(name.data(), name.data() + name.size(), index);
      value = index < array->size() ? &(*array)[index] : nullptr;
    } else {
      value = nullptr;
    }
    if (value == nullptr) return "(absent)";
  }
  return to_text(*value);
}

std::vector<std::string> events(const std::string& stream) {
  std::vector<std::string> out;
  for (size_t begin = 0; begin < stream.size();) {
    const size_t end = stream.find("\n\n", begin);
    REQUIRE(end != std::string::npos);
    std::string event = stream.substr(begin, end - begin);
    begin = end + 2;
    if (event.starts_with(":")) continue;
    REQUIRE(event.starts_with("data: "));
    out.push_back(event.substr(6));
  }
  return out;
}

std::string refused(const HttpResponse& response, std::string_view param, int status) {
  INFO(response.body);
  CHECK(response.status == status);
  const std::string named = at(response.body, "error.param");
  CHECK(named == (param.empty() ? std::string("null") : "\"" + std::string(param) + "\""));
  CHECK(at(response.body, "error.type") != "(absent)");
  CHECK(at(response.body, "error.code") != "(absent)");
  return at(response.body, "error.message");
}

}  // namespace tare::server::test
