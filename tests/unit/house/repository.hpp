// The repository's own text files, as git knows them.
#pragma once
#include <string>
#include <vector>

namespace tare::house {

struct SourceFile {
  std::string path, content;  // path: from the root, '/' between parts
};

// Files that git tracks or would track, of the kinds that people write: code, build files, scripts, pages. Outside a
// git checkout: what lies in the house's folders.
std::vector<SourceFile> source_files(const std::string& root);

}  // namespace tare::house
