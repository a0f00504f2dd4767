// Built-ins use the same door: every plugin of this build passes the validator, and all of them load side by side.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include "core/plugin/check.hpp"
#include "core/plugin/plugin_host.hpp"
#include "jit/host.hpp"

using namespace tare;

namespace {
std::vector<std::string> built_in_files() {
  std::vector<std::string> out;
  std::string list = TARE_TEST_BUILT_IN;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(','), list.size());
    out.push_back(TARE_BINARY_DIR "/lib/tare/plugins/" + list.substr(begin, end - begin) + ".so");
    list.erase(0, end + 1);
  }
  return out;
}
}  // namespace

TEST_CASE("every built-in plugin passes the validator") {
  for (const std::string& file : built_in_files()) {
    CAPTURE(file);
    CheckOptions options;
    options.time_limit_ms = 100000;
    const auto jit = jit::make_jit({});  // kernels for GPUs are asked too; none is compiled
    options.interfaces = {{std::string(jit::Jit::kInterface), jit.get()}};
    const CheckReport report = check_plugin(file, options);
    CHECK_FALSE(report.lines.empty());
    for (const CheckLine& line : report.lines) {
      INFO(name(line.outcome), " (", name(line.blame), "): ", line.check, ": ", line.detail);
      CHECK(line.outcome != CheckOutcome::failed);
      if (line.outcome == CheckOutcome::warning) MESSAGE(file, ": ", line.check, ": ", line.detail);
    }
  }
}

TEST_CASE("all built-in plugins load side by side") {
  const std::vector<std::string> files = built_in_files();
  PluginHostOptions options;
  options.search.config_path = files;
  const auto jit = jit::make_jit({});
  options.interfaces = {{std::string(jit::Jit::kInterface), jit.get()}};
  const PluginHost host(std::move(options));
  for (const RefusedPlugin& refused : host.refused()) MESSAGE(refused.sentence());
  CHECK(host.refused().empty());
  CHECK(host.loaded().size() == files.size());
}
