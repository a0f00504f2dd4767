// The rules of the house, held against every file of the repository.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "tests/unit/house/layering.hpp"
#include "tests/unit/house/repository.hpp"

using namespace tare::house;

namespace {
const std::vector<SourceFile>& files() {
  static const std::vector<SourceFile> all = source_files(TARE_SOURCE_DIR);
  return all;
}
bool is_code(const std::string& path) {
  for (const char* kind : {".cpp", ".hpp", ".c", ".h", ".cuh", ".cu"})
    if (path.ends_with(kind)) return true;
  return false;
}
std::string verdict(const std::string& path, const std::string& line) {
  const std::vector<Include> found = includes(line);
  REQUIRE(found.size() == 1);
  return wrong_include(path, found[0]);
}
}  // namespace

TEST_CASE("the repository is seen") {
  const auto has = [](const std::string& path) {
    return std::any_of(files().begin(), files().end(), [&](const SourceFile& f) { return f.path == path; });
  };
  CHECK(files().size() > 100);
  CHECK(has("core/api/plugin.hpp"));
  CHECK(has("CMakeLists.txt"));
}

TEST_CASE("the layering rules say no to what they should") {
  for (const auto& [path, line] : std::vector<std::pair<std::string, std::string>>{
           {"core/api/x.hpp", "#include \"core/base/file.hpp\""},
           {"core/api/x.hpp", "#include <boost/json.hpp>"},
           {"core/base/x.cpp", "#include \"core/engine/scheduler.hpp\""},
           {"core/plugin/x.cpp", "#include \"core/app/cli.hpp\""},
           {"core/app/x.cpp", "#include \"plugins/text/service.hpp\""},
           {"plugins/norm/x.cpp", "#include \"plugins/linear/cpu_tiles.hpp\""},
           {"plugins/norm/x.cpp", "#include \"core/base/file.hpp\""},
           {"plugins/linear/x.cpp", "#include \"jit/compile/nvrtc.hpp\""},
           {"models/llama/x.cpp", "#include \"models/qwen/qwen.hpp\""},
           {"models/llama/x.cpp", "#include \"plugins/norm/norm.hpp\""},
           {"core/engine/x.cpp", "#include \"tests/unit/house/layering.hpp\""},
           {"jit/x.cpp", "#include \"core/engine/scheduler.hpp\""},
           {"core/app/x.cpp", "#  include <boost/dll/shared_library.hpp>"},
           {"core/app/x.cpp", "#include <boost/beast.hpp>"},
           {"core/app/x.cpp", "#include <toml++/toml.h>"},
           {"plugins/text/x.cpp", "#include <spdlog/spdlog.h>"},
           {"core/base/x.hpp", "#include <spdlog/spdlog.h>"},
           {"core/app/x.hpp", "#include <boost/json.hpp>"},
           {"plugins/linear/x.cpp", "#include <cuda_runtime.h>"},
           {"tests/unit/x.cpp", "#include <cuda.h>"}}) {
    INFO(path, ": ", line);
    CHECK_FALSE(verdict(path, line).empty());
  }
}

TEST_CASE("and yes to what they should") {
  for (const auto& [path, line] : std::vector<std::pair<std::string, std::string>>{
           {"core/api/x.hpp", "#include \"core/api/status.hpp\""},
           {"core/api/x.hpp", "#include <vector>"},
           {"core/plugin/x.cpp", "#include <boost/dll/shared_library.hpp>"},
           {"core/app/x.cpp", "#include \"core/engine/scheduler.hpp\""},
           {"plugins/linear/cuda/x.cuh", "#include \"jit/cuh/mma.cuh\""},
           {"plugins/linear/cuda/x.cuh", "#include <cuda_bf16.h>"},
           {"plugins/linear/cuda/x.hpp", "#include \"jit/jit.hpp\""},
           {"models/llama/x.cpp", "#include \"models/blocks/blocks.hpp\""},
           {"plugins/linear/bench_cpu.cpp", "#include \"plugins/device_cpu/cpu_device.hpp\""},
           {"plugins/device_cuda/x.cpp", "#include <cuda.h>"},
           {"tests/unit/x.cpp", "#include \"core/engine/scheduler.hpp\""}}) {
    INFO(path, ": ", line);
    CHECK(verdict(path, line) == "");
  }
}

TEST_CASE("arrows point one way, and heavy third parties have one home each") {
  size_t seen = 0;
  for (const SourceFile& file : files()) {
    if (!is_code(file.path)) continue;
    for (const Include& include : includes(file.content)) {
      ++seen;
      const std::string wrong = wrong_include(file.path, include);
      INFO("line ", include.line, ": ", wrong);
      CHECK(wrong == "");
    }
  }
  CHECK(seen > 500);
}

TEST_CASE("the environment is read in core/config only") {
  for (const SourceFile& file : files()) {
    if (!is_code(file.path) || file.path.starts_with("core/config/") || file.path.starts_with("tests/")) continue;
    INFO(file.path, " asks for an environment variable, expected core/config to");
    CHECK(file.content.find("getenv(") == std::string::npos);
  }
}

TEST_CASE("files fit on a few screens") {
  for (const SourceFile& file : files()) {
    // Data and lock files are as long as they are.
    if (file.path.ends_with(".toml") || file.path.ends_with(".txt") || file.path.ends_with("CHANGELOG.md")) continue;
    const auto lines = std::count(file.content.begin(), file.content.end(), '\n');
    INFO(file.path, " has ", lines, " lines, expected at most 600: one concept a file");
    CHECK(lines <= 600);
  }
}

TEST_CASE("no file knows whose machine it was written on") {
  const std::array<std::string, 4> places{std::string(TARE_SOURCE_DIR) + "/", std::string("/ro") + "ot/",
                                          std::string("/Us") + "ers/", std::string("/wo") + "rk/"};
  for (const SourceFile& file : files())
    for (const std::string& place : places) {
      INFO(file.path, " mentions ", place);
      CHECK(file.content.find(place) == std::string::npos);
    }
}

TEST_CASE("every header guards itself and says what it is") {
  for (const SourceFile& file : files()) {
    if (!file.path.ends_with(".hpp") || file.path.starts_with("tests/")) continue;
    INFO(file.path, ": expected #pragma once, and a first line that says what the thing is");
    // Some are made to be included again (Highway's targets): their first words say so.
    CHECK((file.content.find("#pragma once") != std::string::npos || file.content.starts_with("// Included")));
    CHECK(file.content.starts_with("//"));
  }
}
