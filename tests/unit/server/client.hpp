// A client of plain POSIX sockets, so that tests can do what HTTP libraries would not.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tare::server::test {

class Client {
 public:
  explicit Client(uint16_t port);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(std::string_view bytes);
  // What comes until the peer closes, or until `words` have come, or until nothing came for so long.
  std::string read_until(std::string_view words, int timeout_ms = 10000);
  std::string read_to_end(int timeout_ms = 10000) { return read_until({}, timeout_ms); }
  // One response with Content-Length, body included; what follows stays for the next call.
  std::string response();
  bool ended() const noexcept { return ended_; }
  void close();  // at once

 private:
  bool more(int timeout_ms);
  int socket_;
  bool ended_ = false;
  std::string kept_;
};

std::string get(std::string_view path, std::string_view headers = {});
std::string post(std::string_view path, std::string_view body, std::string_view headers = {});
int status_of(std::string_view response);
std::string header(const std::string& response, std::string_view name);  // empty: absent
std::string body_of(const std::string& response);

}  // namespace tare::server::test
