#include "jit/source/bundle.hpp"

#include <fstream>
#include <map>
#include <sstream>

#include "jit/source/hash.hpp"

namespace tare::jit {
namespace {

// The names in #include directives. No preprocessor: one in an inactive branch or a comment block counts too, which
// only makes a hash depend on more than it must; a missing file there would be an error, so kernels do not write such
// lines.
std::vector<std::string> includes_of(std::string_view source) {
  std::vector<std::string> names;
  std::istringstream lines{std::string(source)};
  for (std::string line; std::getline(lines, line);) {
    size_t at = line.find_first_not_of(" \t");
    if (at == std::string::npos || line[at] != '#') continue;
    at = line.find_first_not_of(" \t", at + 1);
    if (at == std::string::npos || line.compare(at, 7, "include") != 0) continue;
    at = line.find_first_of("\"<", at + 7);
    if (at == std::string::npos) continue;
    const size_t end = line.find(line[at] == '<' ? '>' : '"', at + 1);
    if (end != std::string::npos) names.push_back(line.substr(at + 1, end - at - 1));
  }
  return names;
}

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

SourceSet::SourceSet(std::vector<SourceBundle> bundles, std::string tree)
    : bundles_(std::move(bundles)), tree_(std::move(tree)) {}

Result<std::string> SourceSet::text(std::string_view path) const {
  // The shim for <cstdint> is the one header that is named without a path.
  const std::string named(path == "cstdint" ? std::string_view("jit/cuh/cstdint") : path);
  if (!tree_.empty()) {
    if (auto found = read_file(tree_ + "/" + named)) return std::move(*found);
  }
  for (const SourceBundle& bundle : bundles_) {
    for (const SourceFile& file : bundle.files) {
      if (file.path == named) return std::string(file.text);
    }
  }
  std::string searched;
  for (const SourceBundle& bundle : bundles_) searched += (searched.empty() ? "" : ", ") + std::string(bundle.name);
  return failure(tare::Code::not_found, "kernel source \"", path, "\" is in none of the bundles ",
                 searched.empty() ? "(there are none)" : searched,
                 tree_.empty() ? "" : " and not in the source tree " + tree_);
}

Result<SourceSet::Closure> SourceSet::closure(std::string_view entry) const {
  std::map<std::string, std::string> seen;
  std::vector<std::pair<std::string, std::string>> open{{std::string(entry), ""}};
  while (!open.empty()) {
    auto [path, wanted_by] = std::move(open.back());
    open.pop_back();
    if (seen.contains(path)) continue;
    auto source = text(path);
    if (!source) {
      return wanted_by.empty() ? std::move(source).status() : std::move(source).status().in("included by " + wanted_by);
    }
    for (std::string& name : includes_of(*source)) open.emplace_back(std::move(name), path);
    seen.emplace(std::move(path), std::move(*source));
  }
  Closure out;
  std::string all;
  for (auto& [path, source] : seen) {
    all += path + '\0' + std::to_string(source.size()) + '\0' + source;
    out.paths.push_back(path);
    out.texts.push_back(std::move(source));
  }
  out.hash = hash_text(all);
  return out;
}

}  // namespace tare::jit
