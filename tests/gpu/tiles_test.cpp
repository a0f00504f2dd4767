// Tiles of bundles decoded by the GPU: every number that was packed, whatever its type and its planes; and tiles that
// are damaged are told of, and never followed outside their bytes.
#include <random>

#include "core/bundle/tare_pack.hpp"
#include "core/bundle/tare_tiles.hpp"
#include "plugins/device_cuda/codec/tile_decoder.hpp"
#include "tests/gpu/gpu.hpp"
#include "tests/unit/runtime/made_tensors.hpp"

using namespace tare;
using namespace tare::gpu_test;
using namespace tare::testing;

namespace {

constexpr size_t kGuard = 4096;  // bytes before and behind the numbers, which nobody may write

// Tensors in which other planes are coded than in trained BF16.
std::vector<MadeTensor> all_tensors() {
  auto out = tensors_for_tiles();
  Numbers numbers;
  std::string quantised, widened, bytes, columns;
  for (int i = 0; i < 190 * 310; ++i) {
    const auto value = static_cast<float>(static_cast<int>(numbers.next() % 15) - 7) * 0.0117f;
    quantised += bf16_bytes(value);
    widened += bytes_of(value < 0 ? -0.5f : value);
  }
  for (int i = 0; i < 77 * 501; ++i) bytes += static_cast<char>(0x38 + (numbers.next() >> 60));
  for (int i = 0; i < 4000 * 3; ++i) columns += bf16_bytes(static_cast<float>(numbers.normal()));
  out.push_back({"i.quantised", "BF16", {190, 310}, quantised});  // both planes
  out.push_back({"j.widened", "F32", {190, 310}, widened});       // most of four
  out.push_back({"k.bytes", "F8_E4M3", {77, 501}, bytes});
  out.push_back({"l.narrow", "BF16", {4000, 3}, columns});
  out.push_back({"m.one", "BF16", {40000}, trained_bf16(1, 40000, numbers)});
  return out;
}

struct Bench {
  Gpu gpu{jit::cuda_codec_bundle()};
  std::unique_ptr<Device> device;  // one that decodes
  std::unique_ptr<Stream> stream;
  std::unique_ptr<DeviceTileDecoder> decoder;
  Bench() {
    if (gpu.device == nullptr) return;
    device = std::move(*cuda::make_provider({}, gpu.jit.get())->open("cuda:0", {}));
    stream = std::move(*device->create_stream());
    auto* decoding = static_cast<TileDecoding*>(device->query(TileDecoding::kInterface));
    REQUIRE(decoding != nullptr);
    decoder = std::move(*decoding->tile_decoder());
  }
  // Decodes; `plain` gets the numbers. Requires that nothing around them was written.
  Status decode(const CodedMatrix& m, std::span<const int64_t> begins, const std::vector<std::byte>& coded,
                std::vector<std::byte>* plain) {
    auto there = device->allocate(coded.size(), Purpose::staging, "coded");
    const auto bytes = static_cast<size_t>(m.plain_bytes());
    auto numbers = device->allocate(bytes + 2 * kGuard, Purpose::staging, "plain");
    REQUIRE(there.ok());
    REQUIRE(numbers.ok());
    auto* const base = static_cast<std::byte*>((*numbers)->data());
    REQUIRE(device->copy_in(*stream, (*there)->data(), coded.data(), coded.size()).ok());
    REQUIRE(device->fill(*stream, base, 0xee, bytes + 2 * kGuard).ok());
    TARE_RETURN_IF_ERROR(decoder->decode(*stream, m, begins, (*there)->data(), base + kGuard));
    Status status = decoder->check(*stream);
    std::vector<std::byte> all(bytes + 2 * kGuard);
    REQUIRE(device->copy_out(*stream, all.data(), base, all.size()).ok());
    const Status done = stream->synchronize();
    REQUIRE_MESSAGE(done.ok(), done.message());
    for (size_t i = 0; i < kGuard; ++i)
      if (all[i] != std::byte{0xee} || all[all.size() - 1 - i] != std::byte{0xee}) FAIL("written outside the numbers");
    plain->assign(all.begin() + kGuard, all.end() - kGuard);
    return status;
  }
};

struct Opened {
  Folder model, work;
  std::vector<MadeTensor> made = all_tensors();
  std::shared_ptr<const TareBundle> bundle;
  Opened() {
    model.write("config.json", R"({"architectures": ["X"]})");
    model.write("model.safetensors", shard_of(made));
    REQUIRE(pack_tare(model.path, work.path + "/m.tare", {}, {}).ok());
    bundle = *TareBundle::open(work.path + "/m.tare");
  }
  const TareTensor& tensor(const std::string& name) const {
    const auto& all = bundle->directory().tensors;
    return *std::find_if(all.begin(), all.end(), [&](const auto& t) { return t.name == name; });
  }
  std::vector<std::byte> coded(const CodedTiles& tiles) const {
    std::vector<std::byte> out(static_cast<size_t>(tiles.bytes()));
    const Status read = tiles.read(0, tiles.matrix().tiles(), out.data());
    REQUIRE_MESSAGE(read.ok(), read.message());
    return out;
  }
};

}  // namespace

TEST_CASE("the GPU decodes every tensor of a bundle bit for bit") {
  Bench bench;
  if (bench.device == nullptr) return;
  const Opened m;
  int decoded = 0;
  uint32_t forms = 0;
  for (const MadeTensor& made : m.made) {
    const auto tiles = coded_tiles(m.bundle, m.tensor(made.name));
    if (tiles == nullptr) continue;
    CAPTURE(made.name);
    REQUIRE(tiles->open().ok());
    std::vector<std::byte> plain;
    const Status status = bench.decode(tiles->matrix(), tiles->begins(), m.coded(*tiles), &plain);
    REQUIRE_MESSAGE(status.ok(), status.message());
    REQUIRE(plain.size() == made.bytes.size());
    CHECK(std::memcmp(plain.data(), made.bytes.data(), plain.size()) == 0);
    ++decoded;
    const auto& planes = tiles->matrix().coded;
    forms |= 1u << (planes[0] + planes[1] + planes[2] + planes[3]);
  }
  CHECK(decoded >= 11);
  CHECK((forms & 0b110) == 0b110);  // tensors with one coded plane, and with two
}

TEST_CASE("a damaged tile is told of by its number, and nothing outside is read or written") {
  Bench bench;
  if (bench.device == nullptr) return;
  const Opened m;
  for (const char* name : {"a.ragged", "b.experts", "i.quantised", "j.widened", "k.bytes", "l.narrow"}) {
    CAPTURE(name);
    const auto tiles = coded_tiles(m.bundle, m.tensor(name));
    REQUIRE(tiles != nullptr);
    REQUIRE(tiles->open().ok());
    const CodedMatrix& matrix = tiles->matrix();
    const auto good = m.coded(*tiles);
    const auto begins = tiles->begins();
    std::vector<std::byte> plain, first;
    REQUIRE(bench.decode(matrix, begins, good, &first).ok());
    std::mt19937 random(3);
    int found = 0;
    for (int i = 0; i < 40; ++i) {
      auto bytes = good;
      const auto tile = static_cast<int64_t>(random() % static_cast<uint32_t>(matrix.tiles()));
      const auto begin = static_cast<size_t>(begins[static_cast<size_t>(tile)]);
      const auto end = static_cast<size_t>(begins[static_cast<size_t>(tile) + 1]);
      if (i % 2 == 0)  // all of the tile, counts of words included
        for (size_t at = begin; at < end; ++at) bytes[at] = static_cast<std::byte>(random());
      else
        bytes[begin + random() % (end - begin)] ^= static_cast<std::byte>(1 + random() % 255);
      const Status status = bench.decode(matrix, begins, bytes, &plain);
      if (status.ok()) continue;  // a plane that is raw, or padding: only checksums can tell
      ++found;
      CHECK(status.message() == text("tile ", tile, " is damaged: its planes do not end where they must"));
    }
    CHECK(found >= 20);  // all those that were wholly replaced
    // Tiles cut elsewhere than they lie.
    std::vector<int64_t> moved(begins.begin(), begins.end());
    if (moved.size() > 2) {
      moved[1] = moved[0];
      CHECK(bench.decode(matrix, moved, good, &plain).message().starts_with("tile 0 is damaged"));
    }
    // And the decoder goes on as before.
    REQUIRE(bench.decode(matrix, begins, good, &plain).ok());
    CHECK(plain == first);
  }
}
