// A folder of one's own for a test, and files made or patched in it.
#pragma once
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/plugin/plugin_host.hpp"

namespace tare::test {

inline std::string plugin_file(const std::string& name) { return TARE_BINARY_DIR "/tests/plugins/" + name + ".so"; }

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "tare-door-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(file(name), std::ios::binary) << content;
    return file(name);
  }
  std::string copy(const std::string& plugin, const std::string& name = "") const {
    return write((name.empty() ? plugin : name) + ".so", read_file(plugin_file(plugin)));
  }

 private:
  std::string path_;
};

template <class T>
std::string patched(std::string content, size_t at, T value) {
  std::memcpy(content.data() + at, &value, sizeof value);
  return content;
}

inline PluginHost host_of(const std::string& folder) {
  PluginHostOptions options;
  options.search.config_path = {folder};
  options.built_in_ops = {"linear/1"};
  return PluginHost(std::move(options));
}

inline bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
inline bool one_line(const std::string& text) { return !text.empty() && text.find('\n') == std::string::npos; }

}  // namespace tare::test
