#include "plugins/server_openai/api_error.hpp"

#include "plugins/server_openai/json_writer.hpp"

namespace tare::server {
namespace {

std::string_view type_of(int status) {
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

}  // namespace

ApiError bad_field(std::string_view param, std::string message) {
  return {.status = 400, .message = std::move(message), .param = std::string(param), .code = {}};
}

ApiError to_error(const Status& status) {
  ApiError error{.status = 500, .message = status.message(), .param = {}, .code = {}};
  switch (status.code()) {
    case Code::invalid:
    case Code::unsupported:
      error.status = 400;
      break;
    case Code::not_found:
      error.status = 404, error.code = "model_not_found", error.param = "model";
      break;
    case Code::exhausted:
      error.status = 429, error.code = "rate_limit_exceeded", error.retry_after_s = 1;
      break;
    case Code::unavailable:
      error.status = 503, error.code = "unavailable", error.retry_after_s = 5;
      break;
    case Code::cancelled:
      error.status = 503, error.code = "cancelled";
      break;
    default:
      error.code = "internal_error";
      break;
  }
  return error;
}

std::string error_body(const ApiError& error) {
  JsonWriter out;
  out.begin_object().key("error").begin_object();
  out.member("message", error.message).member("type", type_of(error.status));
  for (const auto& [name, value] : {std::pair("param", &error.param), std::pair("code", &error.code)}) {
    out.key(name);
    if (value->empty()) {
      out.null();
    } else {
      out.string(*value);
    }
  }
  out.end_object().end_object();
  return out.take();
}

HttpResponse to_response(const ApiError& error) {
  HttpResponse response{.status = error.status, .content_type = kJsonType, .headers = {}, .body = error_body(error)};
  if (error.retry_after_s > 0) response.headers.emplace_back("Retry-After", std::to_string(error.retry_after_s));
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

}  // namespace tare::server
