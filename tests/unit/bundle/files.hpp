// A folder for one test case, and checkpoints made byte by byte.
#pragma once
#include <doctest/doctest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace tare::testing {

struct Folder {
  std::string path = "/tmp/tare-bundle-XXXXXX";
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string write(std::string_view name, std::string_view bytes) const {
    const std::string file = path + "/" + std::string(name);
    std::ofstream(file, std::ios::binary) << bytes;
    return file;
  }
};
template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
template <class T>
std::string bytes_of(T value) {
  return bytes_of(std::vector<T>{value});
}
inline std::string safetensors(std::string_view header, std::string_view data) {
  return bytes_of<uint64_t>(header.size()) + std::string(header) + std::string(data);
}

}  // namespace tare::testing
