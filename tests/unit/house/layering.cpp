#include "tests/unit/house/layering.hpp"

#include <algorithm>

namespace tare::house {
namespace {

struct Rule {
  std::string_view folder;
  std::vector<std::string_view> may_use;  // beside itself
};
// First match wins. Folders that are not named here may use everything (tests, core/app by its own rule below).
const std::vector<Rule>& rules() {
  static const std::vector<Rule> table{
      {"core/api/", {}},
      {"core/base/", {"core/api/"}},
      {"core/tensor/", {"core/api/", "core/base/"}},
      {"core/report/", {"core/api/", "core/base/"}},
      {"core/synth/", {"core/api/", "core/base/"}},
      {"core/device/", {"core/api/", "core/base/"}},
      {"core/config/", {"core/api/", "core/base/"}},
      {"core/plugin/", {"core/api/", "core/base/"}},
      {"core/registry/", {"core/api/", "core/base/", "core/device/"}},
      {"core/program/", {"core/api/", "core/base/", "core/registry/"}},
      {"core/bundle/", {"core/api/", "core/base/", "core/config/"}},
      {"core/engine/", {"core/api/", "core/base/", "core/device/", "core/registry/", "core/program/"}},
      {"core/runtime/",
       {"core/api/", "core/base/", "core/device/", "core/registry/", "core/program/", "core/engine/", "core/bundle/"}},
      {"core/cluster/", {"core/api/", "core/base/", "core/program/", "core/engine/"}},
      // The application meets plugins through the door.
      {"core/app/", {"core/", "jit/", "autotune/"}},
      {"jit/", {"core/api/", "core/base/", "core/device/", "core/registry/"}},
      {"autotune/",
       {"core/api/", "core/base/", "core/report/", "core/device/", "core/registry/", "core/program/", "jit/"}},
      {"models/blocks/", {"core/api/"}},
      {"docs/guide/", {"core/api/", "jit/"}},
  };
  return table;
}

// jit/ and autotune/ show plugins their top-level headers, the bundles and the device headers.
bool is_public_of_host(std::string_view target) {
  for (std::string_view prefix : {"jit/cuh/", "jit/source/bundle.hpp"})
    if (target.starts_with(prefix)) return true;
  for (std::string_view top : {"jit/", "autotune/"})
    if (target.starts_with(top) && target.find('/', top.size()) == std::string_view::npos) return true;
  return false;
}

// "plugins/linear/cuda/x.cuh" -> "plugins/linear/"
std::string_view folder_of(std::string_view path, size_t parts) {
  size_t end = 0;
  for (size_t i = 0; i < parts; ++i) {
    const size_t slash = path.find('/', end);
    if (slash == std::string_view::npos) return path.substr(0, end);
    end = slash + 1;
  }
  return path.substr(0, end);
}

// A program that measures is no plugin: it links what it compares.
bool is_bench(std::string_view path) {
  return path.find("/bench/") != std::string_view::npos || path.find("/bench_") != std::string_view::npos;
}

bool is_ours(std::string_view target) {
  for (std::string_view top : {"core/", "plugins/", "models/", "jit/", "autotune/", "tests/"})
    if (target.starts_with(top)) return true;
  return false;
}

std::string wrong_layer(const std::string& path, const std::string& target) {
  const auto sentence = [&](std::string_view allowed) {
    return path + " includes " + target + ", expected " + std::string(allowed);
  };
  if (path.starts_with("tests/") || is_bench(path)) return "";
  if (target.starts_with("tests/")) return sentence("nothing of tests");
  for (const Rule& rule : rules()) {
    if (!path.starts_with(rule.folder)) continue;
    if (target.starts_with(rule.folder)) return "";
    std::string allowed = "its own folder";
    for (std::string_view may : rule.may_use) {
      if (target.starts_with(may)) return "";
      allowed += " or " + std::string(may);
    }
    return sentence(allowed);
  }
  for (std::string_view kind : {"plugins/", "models/"}) {
    if (!path.starts_with(kind)) continue;
    const bool blocks = kind == "models/" && target.starts_with("models/blocks/");
    if (target.starts_with(folder_of(path, 2)) || target.starts_with("core/api/") || blocks ||
        (kind == "plugins/" && is_public_of_host(target)))
      return "";
    return sentence("its own folder, core/api/ or what jit/ and autotune/ show; never another plugin");
  }
  return "";
}

struct Home {
  std::string_view prefix, what;           // of the included name
  std::vector<std::string_view> lives_in;  // path prefixes
};
const std::vector<Home>& homes() {
  static const std::vector<Home> table{
      {"boost/dll", "Boost.DLL", {"core/plugin/"}},
      {"boost/beast", "Boost.Beast", {"plugins/server_openai/"}},
      {"boost/asio", "Boost.Asio", {"plugins/server_openai/"}},
      {"toml++", "toml++", {"core/config/", "autotune/store/"}},
      {"spdlog", "spdlog", {"core/base/"}},
      {"CLI/", "CLI11", {"core/app/"}},
      {"hwy/", "Highway", {"plugins/"}},
      {"sqlite3", "SQLite", {"autotune/store/"}},
      {"nvrtc", "NVRTC", {"jit/compile/"}},
  };
  return table;
}
constexpr std::string_view kCuda[] = {"cuda", "cublas", "nccl", "nvrtc", "nvml", "cudnn", "cub/", "cooperative_groups"};

std::string wrong_home(const std::string& path, const std::string& target) {
  const bool test = path.starts_with("tests/");
  const auto lives = [&](const std::vector<std::string_view>& folders) {
    return std::any_of(folders.begin(), folders.end(), [&](auto folder) { return path.starts_with(folder); });
  };
  for (std::string_view name : kCuda)
    if (target.starts_with(name) && !lives({"plugins/device_cuda/", "jit/compile/", "tests/compile/", "tests/gpu/"}) &&
        !path.ends_with(".cuh"))
      return path + " includes the CUDA header " + target +
             ", expected it in plugins/device_cuda, jit/compile and *.cuh";
  for (const Home& home : homes())
    if (target.starts_with(home.prefix) && !test && !lives(home.lives_in) && !is_bench(path))
      return path + " includes " + std::string(home.what) + " (" + target + "), which lives in " +
             std::string(home.lives_in[0]);
  // 20 s and 840 MB for one source with all of them: not through a header.
  if (path.ends_with(".hpp") && !path.starts_with("plugins/server_openai/") && !test)
    for (std::string_view heavy : {"boost/json", "boost/asio", "boost/beast", "toml++", "spdlog"})
      if (target.starts_with(heavy)) return path + " is a header and includes " + target + ", expected it in a source";
  return "";
}

}  // namespace

std::vector<Include> includes(std::string_view content) {
  std::vector<Include> out;
  int line = 0;
  while (!content.empty()) {
    ++line;
    const size_t end = std::min(content.find('\n'), content.size());
    std::string_view text = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    const auto skip_blanks = [&] { text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size())); };
    skip_blanks();
    if (!text.starts_with('#')) continue;
    text.remove_prefix(1);
    skip_blanks();
    if (!text.starts_with("include")) continue;
    text.remove_prefix(7);
    skip_blanks();
    if (text.empty() || (text[0] != '"' && text[0] != '<')) continue;
    const size_t close = text.find(text[0] == '"' ? '"' : '>', 1);
    if (close != std::string_view::npos) out.push_back({line, std::string(text.substr(1, close - 1)), text[0] == '"'});
  }
  return out;
}

std::string wrong_include(const std::string& path, const Include& include) {
  if (include.quoted && is_ours(include.target)) return wrong_layer(path, include.target);
  // core/api depends on the standard library alone: no other name has neither a folder nor an ending.
  if (path.starts_with("core/api/") && !include.quoted &&
      (include.target.find('/') != std::string::npos || include.target.find('.') != std::string::npos) &&
      include.target != "stddef.h" && include.target != "stdint.h")
    return path + " includes " + include.target + ", expected core/api or the standard library";
  return wrong_home(path, include.target);
}

}  // namespace tare::house
