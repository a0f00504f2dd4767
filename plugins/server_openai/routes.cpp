#include "plugins/server_openai/routes.hpp"

namespace tare::server {
namespace {

constexpr Route kRoutes[] = {
    {RouteId::front, "/", "GET", "this page"},
    {RouteId::health, "/health", "GET", "200 while the process lives", true},
    {RouteId::ready, "/ready", "GET", "200 when requests are taken, else 503", true},
    {RouteId::metrics, "/metrics", "GET", "figures for Prometheus"},
    {RouteId::models, "/v1/models", "GET", "the models that are served"},
    {RouteId::model, "/v1/models/{id}", "GET", "one of them"},
    {RouteId::chat, "/v1/chat/completions", "POST", "answers a conversation"},
    {RouteId::completions, "/v1/completions", "POST", "continues a text"},
    {RouteId::tokenize, "/tokenize", "POST", "text or messages into token ids"},
    {RouteId::detokenize, "/detokenize", "POST", "token ids into text"},
};

}  // namespace

std::span<const Route> routes() noexcept { return kRoutes; }

Route find_route(std::string_view path, std::string_view* rest) noexcept {
  constexpr std::string_view kModel = "/v1/models/";
  // A slash at the end changes nothing.
  if (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  for (const Route& route : kRoutes) {
    if (route.pattern == path) return route;
    if (route.id == RouteId::model && path.starts_with(kModel)) {
      *rest = path.substr(kModel.size());
      return route;
    }
  }
  return {};
}

std::string allowed_methods(const Route& route) {
  return route.method == "GET" ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
}

}  // namespace tare::server
