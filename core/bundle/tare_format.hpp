// The header and the directory of a .tare bundle as values: written, and parsed in full before anything uses them
// (docs/formats/bundle.md). [any thread]
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bundle/codec_planes.hpp"

namespace tare {

constexpr std::string_view kTareMagic = "TAREBNDL";
constexpr uint16_t kTareMajor = 1, kTareMinor = 0;
constexpr int64_t kTarePage = 4096, kTareRawPiece = 1 << 20, kTareMostPiece = 1 << 20;

using Sha256Bytes = std::array<uint8_t, 32>;
Sha256Bytes sha256_bytes(const std::string& hex);  // of 64 digits
std::string to_hex(const Sha256Bytes& sha);
// Stored bytes in pieces that follow each other: the tiles of a coded tensor, 1 MiB of anything else. The table of
// pieces lies behind the bytes, so that an open bundle of any size takes little memory.
struct TareStream {
  struct Piece {
    int64_t begin;  // from the stream's start; it ends where the next begins
    uint64_t hash;  // XXH64, seed 0
  };
  int64_t offset = kTarePage;  // a multiple of a page
  int64_t bytes = 0, pieces = 0;
  uint64_t table_hash = 0;
  int64_t table_offset() const noexcept { return (offset + bytes + 15) / 16 * 16; }
  int64_t end() const noexcept { return pieces == 0 ? offset : table_offset() + pieces * 16; }
};
static_assert(sizeof(TareStream::Piece) == 16, "as in the file");
struct TareFile {
  enum class Kind : uint8_t { plain, shard, weights };  // weights: a shard whose tensors are the model
  std::string name;                                     // relative, '/' between folders
  Kind kind = Kind::plain;
  int64_t bytes = 0;  // of the restored file
  Sha256Bytes sha{};  // of what `stored` holds
  TareStream stored;  // the file; of a shard its length word and JSON header
};
struct TareTensor {
  static constexpr uint32_t kNoFile = 0xffffffff;
  enum class Codec : uint8_t { raw, exp_ans, layout };
  std::string name, dtype;  // dtype: safetensors' word
  std::vector<int64_t> shape;
  uint32_t file = 0;             // the shard, by place in `files`; kNoFile: in none (serving bundles)
  int64_t begin = 0, bytes = 0;  // in the restored shard
  Sha256Bytes sha{};             // of the plain bytes
  Codec codec = Codec::raw;
  TileGrid grid;       // tile sizes: exp_ans only
  PlaneTables tables;  // exp_ans only
  struct Laid {
    std::string layout;  // Layout::id
    uint32_t version = 0;
    uint8_t input_dims = 0;
    uint8_t flags = 0;  // kFellBack
    std::string note;
    static constexpr uint8_t kFellBack = 1;  // the code did not pay: plain numbers
  } laid;                                    // layout only: as a device has it in memory
  TareStream stored;
};
struct TareDirectory {
  uint16_t minor = kTareMinor;
  int64_t file_bytes = 0, directory_offset = 0;
  std::vector<std::pair<std::string, std::string>> info;  // for people: "source", "expanded from", "packed by"
  std::vector<TareFile> files;
  std::vector<TareTensor> tensors;
};

// Sizes are those that `directory` has; offset and hash of the directory are put in.
std::string print_tare_directory(const TareDirectory& directory);
std::string print_tare_header(const TareDirectory& directory, std::string_view printed_directory);

struct TareHeader {
  uint16_t minor;
  int64_t file_bytes, directory_offset, directory_bytes;
  uint64_t directory_hash;
};
// `page`: the file's first 4096 bytes; `file_bytes`: how long the file is. Refused: another magic, a newer major, bits
// that do not match the hash, a file that is shorter or longer.
Result<TareHeader> parse_tare_header(std::string_view page, int64_t file_bytes, std::string_view what);
// Refused: another hash, sizes that contradict each other, streams that overlap or lie outside, names that lead out of
// a folder, tensors that do not fill their shard.
Result<TareDirectory> parse_tare_directory(std::string_view bytes, const TareHeader& header, std::string_view what);

}  // namespace tare
