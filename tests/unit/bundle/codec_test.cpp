// The code of bundles: every kind of loop gives the same bytes, tables follow from what was counted.
#include "core/bundle/codec_planes.hpp"
#include "core/bundle/codec_split.hpp"
#include "tests/unit/bundle/models.hpp"

namespace {

using namespace tare;
using namespace tare::testing;

// Encodes and decodes with every kind of loop; the plain ones are what the others must equal.
void check_all_loops(const std::vector<uint8_t>& symbols, const rans::Frequencies& frequencies) {
  const rans::Encoder encoder(frequencies);
  const rans::Decoder decoder(frequencies);
  std::vector<std::byte> wanted(rans::most_coded_bytes(symbols.size()));
  wanted.resize(rans::encode(encoder, symbols, wanted, rans::Loops::plain));
  for (const rans::Loops loops : rans::loops_here()) {
    CAPTURE(rans::name(loops));
    std::vector<std::byte> coded(rans::most_coded_bytes(symbols.size()));
    coded.resize(rans::encode(encoder, symbols, coded, loops));
    CHECK(coded == wanted);
    std::vector<uint8_t> back(symbols.size());
    const auto used = rans::decode(decoder, wanted, back, loops);
    REQUIRE_MESSAGE(used.ok(), used.status().message());
    CHECK(*used == wanted.size());
    CHECK(back == symbols);
    if (symbols.size() == 1000)
      for (size_t cut : {size_t{0}, size_t{100}, wanted.size() - 2})
        CHECK(!rans::decode(decoder, std::span(wanted).first(cut), back, loops).ok());
  }
}

TEST_CASE("all kinds of loops write and read the same bytes, of every kind of plane") {
  Numbers numbers;
  for (int kind = 0; kind < 6; ++kind)
    for (size_t count : {size_t{1}, size_t{31}, size_t{32}, size_t{33}, size_t{1000}, size_t{16384}}) {
      CAPTURE(kind);
      CAPTURE(count);
      std::vector<uint8_t> symbols(count);
      for (size_t i = 0; i < count; ++i)
        symbols[i] = kind == 0   ? 7
                     : kind == 1 ? static_cast<uint8_t>(numbers.next() >> 20)
                     : kind == 2 ? static_cast<uint8_t>(i % 2 * 255)
                     : kind == 3 ? static_cast<uint8_t>(120 + 2 * numbers.normal())
                     : kind == 4 ? (numbers.next() % 5000 == 0 ? 1 : 0)
                                 : static_cast<uint8_t>(numbers.uniform() * numbers.uniform() * 200);
      rans::Histogram counts{};
      for (uint8_t s : symbols) ++counts[s];
      check_all_loops(symbols, rans::frequencies_for(counts));
    }
}

// Quotients are made from rounded floats: every frequency there is, with states of all sizes below it.
TEST_CASE("every frequency is divided by exactly") {
  Numbers numbers;
  for (uint16_t f = 1; f < rans::kTotal; ++f) {
    rans::Frequencies frequencies{};
    frequencies[3] = f, frequencies[200] = static_cast<uint16_t>(rans::kTotal - f);
    std::vector<uint8_t> symbols(320);
    for (auto& s : symbols) s = numbers.next() >> 33 & 1 ? 3 : 200;
    check_all_loops(symbols, frequencies);
  }
}

TEST_CASE("planes are split and joined alike by all kinds of loops") {
  Numbers numbers;
  for (int width : {1, 2, 4})
    for (size_t count : {size_t{1}, size_t{15}, size_t{64}, size_t{257}}) {
      CAPTURE(width);
      CAPTURE(count);
      const auto w = static_cast<size_t>(width);
      const std::string in = random_bytes(static_cast<int64_t>(count * w), numbers);
      const auto* elements = reinterpret_cast<const uint8_t*>(in.data());
      std::array<std::vector<uint8_t>, 4> first;
      for (const rans::Loops loops : rans::loops_here()) {
        std::array<std::vector<uint8_t>, 4> planes;
        uint8_t* to[4] = {};
        const uint8_t* from[4] = {};
        for (size_t p = 0; p < w; ++p) planes[p].resize(count), to[p] = planes[p].data(), from[p] = to[p];
        split_planes(width, elements, count, to, loops);
        if (loops == rans::Loops::plain) first = planes;
        CHECK(planes == first);
        std::string back(in.size(), '?');
        join_planes(width, from, count, reinterpret_cast<uint8_t*>(back.data()), loops);
        CHECK(back == in);
      }
      // The exponent is the highest plane, the sign lies above the rest of the plane below it.
      if (width == 2) {
        uint16_t v = 0;
        std::memcpy(&v, in.data(), 2);
        CHECK(first[1][0] == (v >> 7 & 0xff));
        CHECK(first[0][0] == ((v & 0x7f) | (v >> 15) << 7));
      }
    }
}

TEST_CASE("every byte is counted, whatever the length") {
  Numbers numbers;
  for (size_t count : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{1001}}) {
    const std::string bytes = random_bytes(static_cast<int64_t>(count), numbers).substr(0, count);
    rans::Histogram found{}, wanted{};
    for (char c : bytes) ++wanted[static_cast<uint8_t>(c)];
    count_bytes(reinterpret_cast<const uint8_t*>(bytes.data()), count, &found);
    CHECK(found == wanted);
  }
}

TEST_CASE("whether every byte was met before is said right at every place and for every set of bytes") {
  Numbers numbers;
  for (const rans::Loops loops : rans::loops_here()) {
    if (loops == rans::Loops::plain) continue;
    for (size_t absent = 0; absent < 256; ++absent) {
      rans::Histogram counts;
      counts.fill(1);
      counts[absent] = 0, counts[(absent * 7 + 13) % 256] = 0;
      std::vector<uint8_t> bytes(100);
      for (auto& b : bytes) do
          b = static_cast<uint8_t>(numbers.next() >> 30);
        while (counts[b] == 0);
      CHECK(all_occur(bytes.data(), bytes.size(), counts, loops));
      for (size_t at : {size_t{0}, size_t{31}, size_t{absent % 100}, size_t{99}}) {
        const uint8_t old = bytes[at];
        bytes[at] = static_cast<uint8_t>(absent);
        CHECK(!all_occur(bytes.data(), bytes.size(), counts, loops));
        bytes[at] = old;
      }
    }
  }
}

TEST_CASE("a byte that occurs once in a large tensor is in its table") {
  Numbers numbers;
  std::vector<uint16_t> values(size_t{3} << 20);
  for (auto& v : values) v = static_cast<uint16_t>(0x3e80 + (numbers.next() >> 40 & 0x01ff));
  PlaneCounter full(2, true);
  for (size_t place : {size_t{1} << 20, (size_t{2} << 20) + 12345, values.size() - 1}) {
    values[place] = static_cast<uint16_t>(0x1000 + place % 7 * 0x100);
    PlaneCounter counter(2);
    counter.add(std::as_bytes(std::span(values)));
    CHECK(counter.histograms()[1][values[place] >> 7] == 1);
    CHECK(counter.has_all_bytes(1));
    CHECK(counter.counted(1) < static_cast<int64_t>(values.size()) / 2);
  }
  // What the sample costs: nothing that counts.
  full.add(std::as_bytes(std::span(values)));
  PlaneCounter counter(2);
  counter.add(std::as_bytes(std::span(values)));
  const double best = rans::coded_bits(full.histograms()[1], rans::frequencies_for(full.histograms()[1]));
  CHECK(rans::coded_bits(full.histograms()[1], rans::frequencies_for(counter.histograms()[1])) < best * 1.0005);
}

// Mantissas that are random in front and constant behind: the sample must not decide, and no byte may be missing.
TEST_CASE("a plane that first looks raw and then pays is counted again in full") {
  Numbers numbers;
  constexpr size_t kElements = size_t{4} << 20, kRandom = size_t{1} << 20;
  std::vector<uint16_t> values(kElements, 0x3f80);
  for (size_t i = 0; i < kRandom; ++i) values[i] = static_cast<uint16_t>(0x3f80 | (numbers.next() >> 40 & 0x807f));
  const auto bytes = std::as_bytes(std::span(values));
  const TileGrid grid = grid_for(std::vector<int64_t>{4096, 1024});

  PlaneCounter quick(2), same(2), full(2, true), front(2);
  quick.add(bytes);
  for (size_t at = 0; at < bytes.size(); at += 262144) same.add(bytes.subspan(at, 262144));
  CHECK(same.histograms() == quick.histograms());
  full.add(bytes);
  front.add(bytes.first(kRandom * 2));
  CHECK(!quick.is_sure());
  CHECK(!same.is_sure());
  CHECK(front.is_sure());
  CHECK(!front.has_all_bytes(0));
  CHECK(front.has_all_bytes(1));
  CHECK(!choose_tables(2, front, grid).coded[0]);
  CHECK(full.is_sure());
  CHECK(full.has_all_bytes(0));
  CHECK(full.counted(0) == static_cast<int64_t>(kElements));
  const PlaneTables tables = choose_tables(2, full, grid);
  CHECK(tables.coded[0]);
  CHECK(tables.coded[1]);

  // With those tables every tile comes back.
  const TileEncoder encoder(tables);
  const TileDecoder decoder(tables);
  std::vector<std::byte> coded(static_cast<size_t>(grid.most_tile_bytes(2)));
  std::vector<uint16_t> back(static_cast<size_t>(grid.tile_rows * grid.tile_columns));
  int64_t differing = 0;
  for (int64_t i = 0; i < grid.tiles(); i += 37) {
    const auto tile = grid.tile(i);
    const auto* from = bytes.data() + (tile.row * grid.columns + tile.column) * 2;
    const size_t size = encoder.encode(from, grid.columns * 2, tile.rows, tile.columns, coded);
    REQUIRE(decoder
                .decode(std::span(coded).first(size), tile.rows, tile.columns,
                        reinterpret_cast<std::byte*>(back.data()), tile.columns * 2)
                .ok());
    for (int32_t r = 0; r < tile.rows; ++r)
      differing += std::memcmp(from + r * grid.columns * 2, back.data() + r * tile.columns,
                               static_cast<size_t>(tile.columns) * 2) != 0;
  }
  CHECK(differing == 0);
}

}  // namespace
