#include <doctest/doctest.h>

#include "plugins/server_openai/http.hpp"

using namespace tare::server;

TEST_CASE("paths are decoded, queries cut off") {
  CHECK(path_of("/v1/models?x=1") == "/v1/models");
  CHECK(path_of("/a%2Fb%20c") == "/a/b c");
  CHECK(path_of("/a%zz%2") == "/a%zz%2");
  CHECK(path_of("") == "");
}

TEST_CASE("request ids are the client's where they are harmless") {
  CHECK(clean_request_id("abc-1") == "abc-1");
  CHECK(clean_request_id("").starts_with("req-"));
  CHECK(clean_request_id("a b").starts_with("req-"));
  CHECK(clean_request_id("a\r\nb").starts_with("req-"));
  CHECK(clean_request_id(std::string(129, 'a')).starts_with("req-"));
  CHECK(new_id("x-") != new_id("x-"));
  CHECK(new_id("x-").size() == 26);
}

TEST_CASE("a response's bytes") {
  const HttpResponse response{.status = 404, .headers = {{"Allow", "GET"}}, .body = "{}"};
  CHECK(to_bytes(response, {.request_id = "r", .server = "tare/1", .date = http_date(784111777)}) ==
        "HTTP/1.1 404 Not Found\r\nServer: tare/1\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-request-id: r\r\nAllow: "
        "GET\r\nContent-Type: application/json\r\n"
        "Content-Length: 2\r\n\r\n{}");
  const std::string head =
      to_bytes(response, {.minor_version = 0, .without_body = true, .request_id = {}, .server = "t", .date = {}});
  CHECK(head.starts_with("HTTP/1.0 404"));
  CHECK(head.find("Connection: keep-alive\r\n") != std::string::npos);
  CHECK(head.ends_with("Content-Length: 2\r\n\r\n"));
  CHECK(to_bytes({.status = 204, .headers = {}, .body = {}},
                 {.keep_alive = false, .request_id = {}, .server = "t", .date = {}}) ==
        "HTTP/1.1 204 No Content\r\nServer: t\r\nConnection: close\r\n\r\n");
}

TEST_CASE("a stream's frames") {
  const Framing newer{.request_id = {}, .server = "t", .date = {}},
      older{.minor_version = 0, .request_id = {}, .server = "t", .date = {}};
  CHECK(chunk("0123456789abcdef!", newer) == "11\r\n0123456789abcdef!\r\n");
  CHECK(chunk("x", older) == "x");
  CHECK(last_chunk(newer) == "0\r\n\r\n");
  CHECK(last_chunk(older).empty());
  CHECK(stream_head(newer).find("Transfer-Encoding: chunked") != std::string::npos);
  CHECK(stream_head(older).find("Transfer-Encoding") == std::string::npos);
}
