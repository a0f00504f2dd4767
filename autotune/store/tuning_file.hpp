// The text form of tuning entries: tuning-db/ARCHITECTURE/SKU/OP.toml, made for diffs: sorted, one entry a line
// (docs/formats/tuning-db.md). Unknown fields are refused by name. Pure but for read; [any thread].
#pragma once
#include <optional>

#include "autotune/store/entry.hpp"

namespace tare {

struct TuningFile {
  std::string architecture, sku, op;
  std::string device;  // its name in words
  int64_t units = 0;   // cores or multiprocessors: what "nearest" compares
  std::vector<TuningEntry> entries;
};
constexpr int64_t kTuningSchema = 1;

// `source` names the text in messages. Refused: another schema, an unknown field, a wrong type, an entry of another op,
// two entries of one key, and with `expected_sku` a file for another SKU.
Result<TuningFile> parse_tuning_file(std::string_view toml, std::string_view source,
                                     const std::optional<std::string>& expected_sku = {});
// Sorted; parse_tuning_file reads it back to the same file.
std::string print_tuning_file(const TuningFile& file);
Result<TuningFile> read_tuning_file(const std::string& path, const std::optional<std::string>& expected_sku = {});
// "12.34": the shortest decimal that reads back to the same double and is a float in TOML.
std::string decimal(double value);

}  // namespace tare
