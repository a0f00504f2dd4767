// A .tare bundle changed behind good checksums, as someone would who means harm. [one thread]
#pragma once
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>

#include "core/bundle/tare_format.hpp"

namespace tare::golden {

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// `change` may alter the directory's entries (not where things lie) and bytes of streams; all hashes are made again.
inline void reseal(const std::string& path, const std::function<void(TareDirectory&, std::string& bytes)>& change) {
  std::string bytes = slurp(path);
  const auto header =
      parse_tare_header(std::string_view(bytes).substr(0, 4096), static_cast<int64_t>(bytes.size()), path);
  const auto at = static_cast<size_t>(header->directory_offset);
  TareDirectory d = *parse_tare_directory(std::string_view(bytes).substr(at), *header, path);
  change(d, bytes);
  for (TareTensor& t : d.tensors) {
    TareStream& s = t.stored;
    if (t.codec != TareTensor::Codec::layout || s.pieces == 0) continue;
    std::vector<TareStream::Piece> table(static_cast<size_t>(s.pieces));
    char* const stored = bytes.data() + s.table_offset();
    std::memcpy(table.data(), stored, table.size() * 16);
    for (size_t i = 0; i < table.size(); ++i) {
      const int64_t end = i + 1 < table.size() ? table[i + 1].begin : s.bytes;
      table[i].hash = XXH64(bytes.data() + s.offset + table[i].begin, static_cast<size_t>(end - table[i].begin), 0);
    }
    std::memcpy(stored, table.data(), table.size() * 16);
    s.table_hash = XXH64(table.data(), table.size() * 16, 0);
  }
  bytes.resize(at);
  const std::string directory = print_tare_directory(d);
  d.file_bytes = static_cast<int64_t>(at + directory.size());
  bytes += directory;
  const std::string page = print_tare_header(d, directory);
  std::copy(page.begin(), page.end(), bytes.begin());
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace tare::golden
