#include "tests/unit/house/repository.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>

namespace tare::house {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::string_view, 15> kKinds{".cpp", ".hpp", ".c",  ".h",     ".cuh", ".cu",   ".rs", ".py",
                                                  ".sh",  ".md",  ".js", ".cmake", ".in",  ".toml", ".txt"};

bool is_source(const std::string& path) {
  const std::string extension = fs::path(path).extension().string(), name = fs::path(path).filename().string();
  if (name == "Makefile" || path == ".ci/run") return true;
  for (std::string_view kind : kKinds)
    if (extension == kind) return true;
  return false;
}

std::vector<std::string> git_files(const std::string& root) {
  std::vector<std::string> out;
  const std::string command = "git -C '" + root + "' ls-files --cached --others --exclude-standard 2>/dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return out;
  std::string text;
  for (char chunk[4096]; size_t n = fread(chunk, 1, sizeof chunk, pipe);) text.append(chunk, n);
  pclose(pipe);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  return out;
}

std::vector<std::string> walked_files(const std::string& root) {
  std::vector<std::string> out;
  for (const char* folder : {"core", "plugins", "models", "jit", "autotune", "tests", "docs", "cmake"})
    if (fs::is_directory(fs::path(root) / folder))
      for (const auto& entry : fs::recursive_directory_iterator(fs::path(root) / folder))
        if (entry.is_regular_file() && entry.path().string().find("/target/") == std::string::npos)
          out.push_back(fs::relative(entry.path(), root).generic_string());
  return out;
}

}  // namespace

std::vector<SourceFile> source_files(const std::string& root) {
  std::vector<std::string> paths = git_files(root);
  if (paths.empty()) paths = walked_files(root);
  std::vector<SourceFile> out;
  for (const std::string& path : paths) {
    if (!is_source(path) || !fs::is_regular_file(fs::path(root) / path)) continue;
    std::ifstream in(fs::path(root) / path, std::ios::binary);
    out.push_back({path, {std::istreambuf_iterator<char>(in), {}}});
  }
  return out;
}

}  // namespace tare::house
