// The header of a GGUF file, versions 2 and 3, checked in full before anything uses it (docs/formats/gguf.md).
// [any thread]
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/api/status.hpp"
#include "core/base/file.hpp"
#include "core/bundle/convert.hpp"

namespace tare {

// Numbers of any type arrive as doubles, bools as 0 and 1. A list of lists is read over and comes out empty.
struct GgufList {
  std::vector<double> numbers;
  std::vector<std::string> strings;
};
// An F32 stays one, so that its shortest decimal form can be told.
using GgufValue = std::variant<bool, uint64_t, int64_t, float, double, std::string, GgufList>;

struct GgufTensorEntry {
  std::string name;
  std::vector<int64_t> shape;      // rows first: the file's order reversed; 1 to 4 sizes, all at least 1
  std::string type;                // ggml's name: "Q4_1"; "type 99" when it is not known
  std::optional<Storage> storage;  // absent: a type that is not read
  int64_t offset = 0, bytes = 0;   // in the file; bytes 0 for an unknown type
};
struct GgufFile {
  std::shared_ptr<const File> file;
  uint32_t version = 0;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufTensorEntry> tensors;

  // The value as a string, a whole number, a bool; absent when there is none or it has another type.
  std::optional<std::string> string(std::string_view key) const;
  std::optional<int64_t> integer(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  const GgufList* list(std::string_view key) const;
};

// Accepted only: counts and lengths that fit the file, known metadata types, an alignment that is a power of two, names
// that occur once, shapes without overflow whose rows are whole blocks, tensors inside the file that do not overlap.
Result<GgufFile> read_gguf(std::shared_ptr<const File> file);

}  // namespace tare
