#include "core/plugin/search.hpp"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

namespace tare {
namespace fs = std::filesystem;
namespace {

std::string canonical(const fs::path& path) {
  std::error_code error;
  const fs::path full = fs::canonical(path, error);
  return error ? path.lexically_normal().string() : full.string();
}

}  // namespace

std::string executable_path() {
  std::error_code error;
  const fs::path path = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string() : path.string();
}

std::vector<std::string> install_folders_of(std::string_view executable) {
  if (executable.empty()) return {};
  const fs::path prefix = fs::path(executable).parent_path().parent_path();
  std::vector<std::string> out{(prefix / "lib/tare/plugins").string()};
  const std::string own = (prefix / TARE_INSTALL_LIBDIR "/tare/plugins").string();
  if (own != out.front()) out.push_back(own);
  return out;
}

std::vector<SearchedPlace> search(const PluginSearch& search) {
  std::vector<SearchedPlace> out;
  std::set<std::string> seen;  // canonical folders and files
  const auto visit = [&](const std::string& path, const char* origin) {
    if (path.empty()) return;
    SearchedPlace place{path, origin, "", {}};
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) {
      place.note = "does not exist";
    } else if (!seen.insert(canonical(path)).second) {
      return;
    } else if (!fs::is_directory(status)) {
      place.files.push_back(path);
    } else {
      fs::directory_iterator it(path, error), end;
      if (error) place.note = error.message();
      for (; !error && it != end; it.increment(error))
        if (it->path().extension() == ".so") place.files.push_back(it->path().string());
      std::sort(place.files.begin(), place.files.end());
      // A link to a file that was met before adds nothing.
      std::erase_if(place.files, [&](const std::string& file) { return !seen.insert(canonical(file)).second; });
    }
    out.push_back(std::move(place));
  };
  for (const std::string& path : search.config_path) visit(path, "plugins.path");
  for (size_t begin = 0; begin <= search.environment_path.size();) {
    const size_t end = std::min(search.environment_path.find(':', begin), search.environment_path.size());
    visit(search.environment_path.substr(begin, end - begin), "TARE_PLUGIN_PATH");
    begin = end + 1;
  }
  for (const std::string& path : search.install_folders) visit(path, "install folder");
  return out;
}

}  // namespace tare
