// The input is a bundle whose checksums are mended first, so that the parsers behind them are reached. What opens is
// read in full.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>
#include <vector>

#include "core/bundle/tare_bundle.hpp"
#include "tests/fuzz/bundle/memory_file.hpp"

using namespace tare;
using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (size >= 4096) {
    int64_t offset = 0;
    std::memcpy(&offset, &bytes[24], 8);
    if (offset >= 4096 && offset <= static_cast<int64_t>(size)) {
      const uint64_t hash = XXH64(&bytes[static_cast<size_t>(offset)], size - static_cast<size_t>(offset), 0);
      const auto file_bytes = static_cast<int64_t>(size), directory = file_bytes - offset;
      std::memcpy(&bytes[16], &file_bytes, 8), std::memcpy(&bytes[32], &directory, 8);
      std::memcpy(&bytes[40], &hash, 8);
    }
    const uint64_t own = XXH64(bytes.data(), 48, 0);
    std::memcpy(&bytes[48], &own, 8);
  }
  const fuzz::MemoryFile file(bytes);
  const auto bundle = TareBundle::open(file.path());
  if (!bundle.ok()) {
    require(!bundle.status().message().empty());
    return 0;
  }
  const TareDirectory& d = (*bundle)->directory();
  const std::string printed = print_tare_directory(d);
  require(printed == bytes.substr(static_cast<size_t>(d.directory_offset)));
  for (const TareFile& f : d.files) (void)(*bundle)->read_content(f, 1 << 20);
  std::vector<std::byte> out(1 << 20);
  for (const TareTensor& t : d.tensors) {
    if (t.bytes > (1 << 20) || t.stored.bytes > (1 << 20)) continue;
    if (t.codec == TareTensor::Codec::layout)
      (void)(*bundle)->read_range(t.stored, "t", 0, std::span(out).first(static_cast<size_t>(t.stored.bytes)));
    (void)(*bundle)->stream_tensor(t, [](auto) { return Status(); });
    // The tiles behind their checksums.
    if (t.codec != TareTensor::Codec::exp_ans || t.stored.bytes == 0) continue;
    const auto tile = t.grid.tile(0);
    const auto coded = std::as_bytes(std::span(bytes))
                           .subspan(static_cast<size_t>(t.stored.offset), static_cast<size_t>(t.stored.bytes));
    for (const rans::Loops loops : rans::loops_here())
      (void)TileDecoder(t.tables, loops)
          .decode(coded, tile.rows, tile.columns, out.data(), int64_t{tile.columns} * t.tables.width);
  }
  return 0;
}
