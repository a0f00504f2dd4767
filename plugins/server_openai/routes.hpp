// The table of routes. [any thread]
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tare::server {

enum class RouteId : uint8_t {
  none,
  front,
  health,
  ready,
  metrics,
  models,
  model,
  chat,
  completions,
  tokenize,
  detokenize
};
struct Route {
  RouteId id = RouteId::none;
  std::string_view pattern = "other";  // "/v1/models/{id}"
  std::string_view method;             // "GET" (and so HEAD) or "POST"
  std::string_view summary;
  bool open = false;  // asks for no key
};
std::span<const Route> routes() noexcept;
// The route of a decoded path; RouteId::none: there is none. `rest`: what stands for {id}.
Route find_route(std::string_view path, std::string_view* rest) noexcept;
// "GET, HEAD, OPTIONS"
std::string allowed_methods(const Route& route);

}  // namespace tare::server
