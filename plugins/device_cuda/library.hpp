// Shared libraries of NVIDIA's that may be there: where they are looked for, and what to say when they are not.
// [any thread]
#pragma once
#include <string>
#include <vector>

#include "core/api/status.hpp"

namespace tare::cuda {

struct OpenedLibrary {
  void* handle = nullptr;  // dlopen's; never closed, since calls may run at exit
  std::string path;
};

// `name` from the first folder that has it, else by the loader. not_found: every place and what was wrong there.
Result<OpenedLibrary> open_library(const std::vector<std::string>& folders, const char* name);
// Where toolkits keep their libraries.
std::vector<std::string> toolkit_folders();

}  // namespace tare::cuda
