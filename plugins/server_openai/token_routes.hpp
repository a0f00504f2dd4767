// POST /tokenize and /detokenize: the body in, the response out. [any thread]
#pragma once
#include <span>

#include "core/api/engine.hpp"
#include "plugins/server_openai/http.hpp"
#include "plugins/server_openai/json.hpp"

namespace tare::server {

HttpResponse tokenize(const JsonObject& body, std::span<const ServedModel> models);
HttpResponse detokenize(const JsonObject& body, std::span<const ServedModel> models);

}  // namespace tare::server
