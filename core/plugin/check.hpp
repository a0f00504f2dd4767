// The validator behind `tare plugins check FILE.so`: does anyone's plugin keep the promises of the door? Everything
// that runs the plugin's code happens in a child process with a time limit, so that a crash or a hang is a line of the
// report. Call it before the process has threads of its own. [loader]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugin/registrar.hpp"

namespace tare {

enum class CheckOutcome : uint8_t { ok, warning, failed };
// Whose matter a line is that is not ok.
enum class Blame : uint8_t { plugin, build, machine, host };
constexpr std::string_view name(CheckOutcome outcome) noexcept {
  constexpr std::string_view names[] = {"ok", "warning", "failed"};
  return names[static_cast<size_t>(outcome)];
}
// build: made with another compiler or for another Tare; machine: a library is missing here; host: a mistake of Tare.
constexpr std::string_view name(Blame blame) noexcept {
  constexpr std::string_view names[] = {"plugin", "build", "machine", "host"};
  return names[static_cast<size_t>(blame)];
}

struct CheckLine {
  CheckOutcome outcome = CheckOutcome::ok;
  std::string check;   // what was looked at: "kernel 'linear.mine'"
  std::string detail;  // what was seen, or found and wanted
  Blame blame = Blame::plugin;
};
struct CheckReport {
  std::string file, id, version;  // id, version: "" when the descriptor could not be read
  std::vector<CheckLine> lines;
  bool passed() const noexcept {
    for (const CheckLine& line : lines)
      if (line.outcome == CheckOutcome::failed) return false;
    return true;
  }
};

struct CheckOptions {
  int32_t time_limit_ms = 30000;  // for all of the plugin's code together
  HostInterfaces interfaces;      // what the plugin may query
  std::vector<std::string> built_in_ops;
};

CheckReport check_plugin(const std::string& file, const CheckOptions& options = {});

}  // namespace tare
