// log/1: the host's log, handed to plugins by the registrar, so that there is one sink. [any thread]
#pragma once
#include <cstdint>
#include <string_view>

namespace tare {

enum class LogLevel : uint8_t { debug, info, warning, error };
class Log {
 public:
  static constexpr std::string_view kInterface = "log/1";
  virtual ~Log() = default;
  virtual void write(LogLevel level, std::string_view message) noexcept = 0;
  void debug(std::string_view message) noexcept { write(LogLevel::debug, message); }
  void info(std::string_view message) noexcept { write(LogLevel::info, message); }
  void warning(std::string_view message) noexcept { write(LogLevel::warning, message); }
  void error(std::string_view message) noexcept { write(LogLevel::error, message); }
};

}  // namespace tare
