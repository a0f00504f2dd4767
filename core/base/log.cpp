#include "core/base/log.hpp"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "core/base/printable.hpp"

namespace tare {
namespace {

class SpdLog final : public Log {
 public:
  SpdLog(std::shared_ptr<spdlog::sinks::sink> sink, const LogOptions& options)
      : logger_("tare", std::move(sink)), json_(options.format == LogFormat::json) {
    logger_.set_level(level_of(options.level));
    logger_.flush_on(spdlog::level::trace);
    logger_.set_pattern(json_ ? R"({"time": "%Y-%m-%dT%H:%M:%S.%e%z", "level": "%l", "message": %v})"
                              : "%H:%M:%S.%e %^%l%$ %v");
  }
  void write(LogLevel level, std::string_view message) noexcept override {
    if (!logger_.should_log(level_of(level))) return;
    try {
      const std::string line = json_ ? json_string(message) : printable(message);
      logger_.log(level_of(level), spdlog::string_view_t(line.data(), line.size()));
    } catch (...) {  // out of memory: the message is lost, the program is not
    }
  }

 private:
  static spdlog::level::level_enum level_of(LogLevel level) noexcept {
    constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                    spdlog::level::err};
    return levels[static_cast<size_t>(level)];
  }
  spdlog::logger logger_;
  bool json_;
};

}  // namespace

Result<std::unique_ptr<Log>> make_log(const LogOptions& options) {
  try {
    std::shared_ptr<spdlog::sinks::sink> sink;
    if (options.file.empty())
      sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>();
    else
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
    return std::unique_ptr<Log>(std::make_unique<SpdLog>(std::move(sink), options));
  } catch (const std::exception& error) {
    return invalid("the log cannot be opened: ", error.what());
  }
}

}  // namespace tare
