#include "tests/unit/server/client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

namespace tare::server::test {

Client::Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ended_ = true;
}
Client::~Client() { close(); }
void Client::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
  ended_ = true;
}
void Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}
bool Client::more(int timeout_ms) {
  pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
  if (ended_ || ::poll(&ready, 1, timeout_ms) <= 0) return false;
  char bytes[65536];
  const ssize_t read = ::recv(socket_, bytes, sizeof bytes, 0);
  if (read <= 0) {
    ended_ = true;
    return false;
  }
  kept_.append(bytes, static_cast<size_t>(read));
  return true;
}
std::string Client::read_until(std::string_view words, int timeout_ms) {
  while (words.empty() || kept_.find(words) == std::string::npos)
    if (!more(timeout_ms)) break;
  const size_t found = words.empty() ? std::string::npos : kept_.find(words);
  const size_t end = found == std::string::npos ? kept_.size() : found + words.size();
  std::string out = kept_.substr(0, end);
  kept_.erase(0, end);
  return out;
}
std::string Client::response() {
  std::string out = read_until("\r\n\r\n");
  const std::string length = header(out, "Content-Length");
  const size_t bytes = length.empty() ? 0 : static_cast<size_t>(std::atoll(length.c_str()));
  while (kept_.size() < bytes)
    if (!more(10000)) break;
  out += kept_.substr(0, bytes);
  kept_.erase(0, bytes);
  return out;
}

std::string get(std::string_view path, std::string_view headers) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + std::string(headers) + "\r\n";
}
std::string post(std::string_view path, std::string_view body, std::string_view headers) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(headers) + "\r\n" + std::string(body);
}
int status_of(std::string_view response) {
  return response.starts_with("HTTP/1.") && response.size() > 12 ? std::atoi(std::string(response.substr(9, 3)).c_str())
                                                                 : 0;
}
std::string header(const std::string& response, std::string_view name) {
  const size_t begin = response.find("\r\n" + std::string(name) + ": ");
  if (begin == std::string::npos) return {};
  const size_t value = begin + 4 + name.size();
  return response.substr(value, response.find("\r\n", value) - value);
}
std::string body_of(const std::string& response) {
  const size_t end = response.find("\r\n\r\n");
  return end == std::string::npos ? std::string() : response.substr(end + 4);
}

}  // namespace tare::server::test
