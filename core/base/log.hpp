// The host's log: text or JSON lines, to standard error or a file. [any thread]
#pragma once
#include <memory>
#include <string>

#include "core/api/log.hpp"
#include "core/api/status.hpp"

namespace tare {

enum class LogFormat : uint8_t { text, json };
struct LogOptions {
  LogLevel level = LogLevel::info;  // what is below it is dropped
  LogFormat format = LogFormat::text;
  std::string file;  // empty: standard error
};
// One line a message: control characters are escaped, so that no message can pass for two. Text:
// "12:34:56.789 warning the message"; JSON: {"time": "2026-01-31T12:34:56.789+00:00", "level": "warning",
// "message": "the message"}, broken UTF-8 replaced.
Result<std::unique_ptr<Log>> make_log(const LogOptions& options);

}  // namespace tare
