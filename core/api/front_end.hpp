// The front end service: what listens on a port. Implemented by plugins/server_openai. [any thread]
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/engine.hpp"
#include "core/api/log.hpp"

namespace tare {

struct ServerSettings {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;               // 0: any free port
  std::vector<std::string> api_keys;  // empty: no key is asked for, and only loopback may be bound
  int64_t max_body_bytes = 8 << 20;
  int32_t max_connections = 1024;
  int32_t header_timeout_ms = 10000, body_timeout_ms = 30000, idle_timeout_ms = 120000;
  int32_t shutdown_deadline_ms = 30000;
  int32_t threads = 1;
  std::string version;  // of the program, for /health and headers
};

class FrontEnd {
 public:
  virtual ~FrontEnd() = default;
  virtual uint16_t port() const noexcept = 0;
  // Ready goes 503, no new requests, streams finish within the deadline; returns when all threads are done.
  virtual void shut_down() = 0;
};
class FrontEndService {
 public:
  static constexpr std::string_view kInterface = "front_end/1";
  virtual ~FrontEndService() = default;
  virtual std::string_view name() const noexcept = 0;  // "openai"
  // Binds and serves on its own threads; the engine and the log must outlive the FrontEnd.
  virtual Result<std::unique_ptr<FrontEnd>> start(const ServerSettings& settings, EngineClient& engine, Log& log) = 0;
};

}  // namespace tare
