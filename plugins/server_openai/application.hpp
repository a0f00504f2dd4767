// Application: from a request to its response, or to the plan of what must be generated. Knows nothing of sockets.
// Thread rule: [any thread].
#pragma once
#include <atomic>
#include <optional>
#include <string>
#include <variant>

#include "core/api/front_end.hpp"
#include "plugins/server_openai/api_keys.hpp"
#include "plugins/server_openai/generation.hpp"
#include "plugins/server_openai/metrics.hpp"
#include "plugins/server_openai/prepare.hpp"

namespace tare::server {

using Reply = std::variant<HttpResponse, GenerationPlan>;

class Application {
 public:
  // The engine must outlive it.
  Application(const ServerSettings& settings, EngineClient& engine);

  // What can be refused before the body is read: a key that is wrong, a route or method that is not there.
  std::optional<HttpResponse> refuse(const HttpRequest& head) const;
  // `request` passed `refuse`. Never throws: what goes wrong within becomes a 500.
  Reply handle(const HttpRequest& request) const noexcept;
  // The route's pattern for metrics: "/v1/models/{id}", "other".
  std::string_view route_of(std::string_view target) const;

  // From now on /ready says 503, and so does everything that would generate.
  void drain() noexcept { draining_ = true; }
  bool draining() const noexcept { return draining_; }

  EngineClient& engine() const noexcept { return engine_; }
  Metrics& metrics() noexcept { return metrics_; }
  const std::string& server_name() const noexcept { return server_name_; }

 private:
  Reply dispatch(const HttpRequest& request) const;
  Reply generate(const JsonObject& body, AnswerKind kind) const;
  HttpResponse model_list() const;
  HttpResponse model(std::string_view name) const;
  HttpResponse ready() const;

  const std::string version_, server_name_;
  const ApiKeys keys_;
  EngineClient& engine_;
  Metrics metrics_;
  std::atomic<bool> draining_{false};
};

}  // namespace tare::server
