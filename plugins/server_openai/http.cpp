#include "plugins/server_openai/http.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <random>

namespace tare::server {
namespace {

std::string head(int status, const Framing& framing) {
  std::string out = framing.minor_version == 0 ? "HTTP/1.0 " : "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  out += reason_of(status);
  out += "\r\nServer: ";
  out += framing.server;
  if (!framing.date.empty()) out += "\r\nDate: " + framing.date;
  if (!framing.request_id.empty()) out += "\r\nx-request-id: " + framing.request_id;
  if (!framing.keep_alive) {
    out += "\r\nConnection: close";
  } else if (framing.minor_version == 0) {
    out += "\r\nConnection: keep-alive";
  }
  return out;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::string path_of(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  std::string out;
  for (size_t i = 0; i < target.size(); ++i) {
    const int high = target[i] == '%' && i + 2 < target.size() ? hex(target[i + 1]) : -1;
    const int low = high >= 0 ? hex(target[i + 2]) : -1;
    if (low < 0) {
      out += target[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string_view reason_of(int status) noexcept {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 503:
      return "Service Unavailable";
    default:
      return "Unknown";
  }
}

std::string http_date(int64_t seconds) {
  // Not strftime: its names of days follow the locale.
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto time = static_cast<std::time_t>(seconds);
  std::tm utc{};
  gmtime_r(&time, &utc);
  char out[64];
  std::snprintf(out, sizeof out, "%s, %02d %s %d %02d:%02d:%02d GMT", kDays[utc.tm_wday], utc.tm_mday,
                kMonths[utc.tm_mon], 1900 + utc.tm_year, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return out;
}

std::string clean_request_id(std::string_view from_client) {
  bool fine = !from_client.empty() && from_client.size() <= 128;
  for (char c : from_client) fine = fine && c > 0x20 && c < 0x7f;
  return fine ? std::string(from_client) : new_id("req-");
}

std::string new_id(std::string_view prefix) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out(prefix);
  std::random_device device;
  for (int word = 0; word < 3; ++word) {
    uint32_t bits = device();
    for (int digit = 0; digit < 8; ++digit, bits >>= 4) out += kHex[bits & 15];
  }
  return out;
}

std::string to_bytes(const HttpResponse& response, const Framing& framing) {
  std::string out = head(response.status, framing);
  for (const auto& [name, value] : response.headers) out += "\r\n" + name + ": " + value;
  if (response.status != 204) {
    out += "\r\nContent-Type: ";
    out += response.content_type;
    out += "\r\nContent-Length: " + std::to_string(response.body.size());
  }
  out += "\r\n\r\n";
  if (!framing.without_body && response.status != 204) out += response.body;
  return out;
}

std::string stream_head(const Framing& framing) {
  std::string out = head(200, framing);
  out += "\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\nX-Accel-Buffering: no";
  if (framing.minor_version > 0) out += "\r\nTransfer-Encoding: chunked";
  return out + "\r\n\r\n";
}

std::string chunk(std::string_view bytes, const Framing& framing) {
  if (framing.minor_version == 0) return std::string(bytes);
  std::array<char, 20> size;
  const auto end = std::to_chars(size.data(), size.data() + size.size(), bytes.size(), 16).ptr;
  std::string out(size.data(), end);
  out += "\r\n";
  out += bytes;
  return out + "\r\n";
}

std::string_view last_chunk(const Framing& framing) noexcept { return framing.minor_version == 0 ? "" : "0\r\n\r\n"; }

}  // namespace tare::server
