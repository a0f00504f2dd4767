// Where plugins are looked for, in order, and which files were found there. Reads folders, no file. [loader]
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace tare {

struct PluginSearch {
  std::vector<std::string> config_path;      // [plugins] path: folders, or single files
  std::string environment_path;              // TARE_PLUGIN_PATH's value, ':' between entries; empty: not set
  std::vector<std::string> install_folders;  // beside the executable: install_folders_of()
};

struct SearchedPlace {
  std::string path, origin;        // origin: "plugins.path", "TARE_PLUGIN_PATH", "install folder"
  std::string note;                // "does not exist"; empty: searched
  std::vector<std::string> files;  // *.so in order of name
};

// <executable>/../lib/tare/plugins and, where it differs, the installation's own library folder.
std::vector<std::string> install_folders_of(std::string_view executable);
// This process's executable, or "".
std::string executable_path();

// Every place once (a folder named twice is searched at its first mention), in the order of the search.
std::vector<SearchedPlace> search(const PluginSearch& search);

}  // namespace tare
