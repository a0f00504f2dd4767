// ApiError: a refusal in OpenAI's shape, {"error": {message, type, param, code}}. Plain value. [any thread]
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "core/api/status.hpp"
#include "plugins/server_openai/http.hpp"

namespace tare::server {

struct ApiError {
  int status = 400;                  // of HTTP
  std::string message, param, code;  // empty param, code: null
  int retry_after_s = 0;             // > 0: with a Retry-After header
};
using Refusal = std::optional<ApiError>;

// 400 that names a field.
ApiError bad_field(std::string_view param, std::string message);
// What the engine or the text model refused.
ApiError to_error(const Status& status);
std::string error_body(const ApiError& error);
HttpResponse to_response(const ApiError& error);

}  // namespace tare::server
