#include "plugins/server_openai/application.hpp"

#include <algorithm>
#include <ctime>
#include <exception>

#include "plugins/server_openai/json_writer.hpp"
#include "plugins/server_openai/routes.hpp"
#include "plugins/server_openai/token_routes.hpp"

namespace tare::server {
namespace {

Reply refused(const ApiError& error) { return to_response(error); }

void write_model(const ServedModel& model, JsonWriter& to) {
  to.begin_object().member("id", model.name).member("object", "model").member("created", model.created);
  to.member("owned_by", "tare").end_object();
}

HttpResponse plain(std::string body, std::string_view type = kJsonType) {
  HttpResponse response;
  response.content_type = type;
  response.body = std::move(body);
  return response;
}

ApiError not_ready(std::string message) {
  return {.status = 503, .message = std::move(message), .param = {}, .code = "unavailable", .retry_after_s = 5};
}

std::string front_page(const std::string& server_name) {
  std::string out = server_name + "\n\n";
  for (const Route& route : routes()) {
    std::string line(route.method);
    line.resize(6, ' ');
    line += route.pattern;
    line.resize(std::max<size_t>(line.size() + 1, 30), ' ');
    out += line + std::string(route.summary) + "\n";
  }
  return out;
}

}  // namespace

Application::Application(const ServerSettings& settings, EngineClient& engine)
    : version_(settings.version),
      server_name_(settings.version.empty() ? "tare" : "tare/" + settings.version),
      keys_(settings.api_keys),
      engine_(engine),
      metrics_(engine.models()) {}

std::string_view Application::route_of(std::string_view target) const {
  std::string_view rest;
  const std::string path = path_of(target);
  return find_route(path, &rest).pattern;
}

std::optional<HttpResponse> Application::refuse(const HttpRequest& head) const {
  std::string_view rest;
  const std::string path = path_of(head.target);
  const Route route = find_route(path, &rest);
  if (!route.open && !keys_.accept(head.authorization)) {
    const bool none = head.authorization.empty();
    return to_response({.status = 401,
                        .message = none ? "no API key is given, expected the header 'Authorization: Bearer KEY'"
                                        : "the API key is wrong, expected one that this server knows",
                        .param = {},
                        .code = "invalid_api_key"});
  }
  if (route.id == RouteId::none && head.method == "OPTIONS" && path == "*") return std::nullopt;
  if (route.id == RouteId::none)
    return to_response({.status = 404,
                        .message = text("there is nothing at ", quoted(path), ", GET / lists what there is"),
                        .param = {},
                        .code = "not_found"});
  const bool is_get = head.method == "GET" || head.method == "HEAD";
  if (head.method == "OPTIONS" || (is_get && route.method == "GET") || head.method == route.method) return std::nullopt;
  HttpResponse response = to_response(
      {.status = 405,
       .message = text("the method ", quoted(head.method), " is not for ", route.pattern, ", expected ", route.method),
       .param = {},
       .code = "method_not_allowed"});
  response.headers.emplace_back("Allow", allowed_methods(route));
  return response;
}

Reply Application::handle(const HttpRequest& request) const noexcept {
  const auto failed = [](std::string message) {
    return refused({.status = 500, .message = std::move(message), .param = {}, .code = "internal_error"});
  };
  try {
    return dispatch(request);
  } catch (const std::exception& e) {
    return failed(text("the server failed: ", e.what()));
  } catch (...) {
    return failed("the server failed");
  }
}

Reply Application::dispatch(const HttpRequest& request) const {
  std::string_view rest;
  const std::string path = path_of(request.target);
  const Route route = find_route(path, &rest);
  if (request.method == "OPTIONS") {
    HttpResponse response;
    response.status = 204;
    response.headers.emplace_back("Allow", allowed_methods(route));
    return response;
  }
  switch (route.id) {
    case RouteId::front:
      return plain(front_page(server_name_), kTextType);
    case RouteId::health: {
      JsonWriter to;
      to.begin_object().member("status", "ok").member("version", version_).end_object();
      return plain(to.take());
    }
    case RouteId::ready:
      return ready();
    case RouteId::metrics:
      return plain(metrics_.print(engine_), kMetricsType);
    case RouteId::models:
      return model_list();
    case RouteId::model:
      return model(rest);
    default:
      break;
  }
  const auto json = parse_json(request.body);
  if (!json.ok())
    return refused({.status = 400, .message = json.status().message(), .param = {}, .code = "invalid_json"});
  const auto* body = json->as<JsonObject>();
  if (body == nullptr)
    return refused({.status = 400,
                    .message = text("the body is ", describe(*json), ", expected a JSON object"),
                    .param = {},
                    .code = "invalid_json"});
  switch (route.id) {
    case RouteId::chat:
      return generate(*body, AnswerKind::chat);
    case RouteId::completions:
      return generate(*body, AnswerKind::completion);
    case RouteId::tokenize:
      return tokenize(*body, engine_.models());
    case RouteId::detokenize:
      return detokenize(*body, engine_.models());
    default:
      return refused({.status = 404, .message = "there is nothing here", .param = {}, .code = "not_found"});
  }
}

Reply Application::generate(const JsonObject& body, AnswerKind kind) const {
  if (draining_) return refused(not_ready("the server is shutting down and takes no more requests"));
  const bool chat = kind == AnswerKind::chat;
  ChatRequest chat_request;
  CompletionRequest completion_request;
  Refusal refusal = chat ? read_chat_request(body, &chat_request) : read_completion_request(body, &completion_request);
  const std::string& name = chat ? chat_request.generation.model : completion_request.generation.model;
  ServedModel model;
  GenerationPlan plan;
  if (!refusal) refusal = find_model(engine_.models(), name, false, &model);
  if (!refusal)
    refusal = chat ? prepare_chat(model, std::move(chat_request), &plan)
                   : prepare_completion(model, std::move(completion_request), &plan);
  if (refusal) return refused(*refusal);
  plan.id = new_id(chat ? "chatcmpl-" : "cmpl-");
  plan.created = static_cast<int64_t>(std::time(nullptr));
  plan.fingerprint = server_name_;
  return plan;
}

HttpResponse Application::model_list() const {
  JsonWriter to;
  to.begin_object().member("object", "list").key("data").begin_array();
  for (const ServedModel& model : engine_.models()) write_model(model, to);
  to.end_array().end_object();
  return plain(to.take());
}

HttpResponse Application::model(std::string_view name) const {
  ServedModel model;
  if (const Refusal refusal = find_model(engine_.models(), name, false, &model)) return to_response(*refusal);
  JsonWriter to;
  write_model(model, to);
  return plain(to.take());
}

HttpResponse Application::ready() const {
  if (draining_) return to_response(not_ready("the server is shutting down"));
  if (!engine_.ready()) return to_response(not_ready("the engine takes no requests"));
  JsonWriter to;
  to.begin_object().member("status", "ready").end_object();
  return plain(to.take());
}

}  // namespace tare::server
