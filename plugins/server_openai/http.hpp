// A request and a response as plain values, and a response's bytes: what the logic sees of HTTP. [any thread]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tare::server {

constexpr std::string_view kJsonType = "application/json", kTextType = "text/plain; charset=utf-8",
                           kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

struct HttpRequest {
  std::string method, target;             // "GET", "/v1/models?x=y"
  std::string authorization, request_id;  // headers; the id is always set (clean_request_id)
  std::string body;
};
struct HttpResponse {
  int status = 200;
  std::string_view content_type = kJsonType;
  std::vector<std::pair<std::string, std::string>> headers;  // beside type, length and the connection's own
  std::string body;
};
// How a response goes out; the connection knows it.
struct Framing {
  int minor_version = 1;  // HTTP/1.0: no chunks
  bool keep_alive = true;
  bool without_body = false;             // HEAD: the length of the body that GET would give, and no body
  std::string request_id, server, date;  // empty: no such header
};

// The path without query, percent-decoded; '%' that is no code stays as it is.
std::string path_of(std::string_view target);
std::string_view reason_of(int status) noexcept;
// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7) of seconds since 1970.
std::string http_date(int64_t seconds);
// "req-…": the client's own where it is 1 to 128 printable ASCII characters, else a new one.
std::string clean_request_id(std::string_view from_client);
// `prefix` and 24 random hexadecimal digits.
std::string new_id(std::string_view prefix);

std::string to_bytes(const HttpResponse& response, const Framing& framing);
// The head of a response that comes in pieces, each framed by `chunk`; `last_chunk` ends it.
std::string stream_head(const Framing& framing);
std::string chunk(std::string_view bytes, const Framing& framing);
std::string_view last_chunk(const Framing& framing) noexcept;

}  // namespace tare::server
