// bench_codec [--json FILE] [--tensor NAME].. MODEL..: codes for the exponents of BF16 weights, on one core: bits a
// weight (tables and heads of tiles included), encoding and decoding in GB/s of BF16, from and to memory in the cache.
//   rans    the bundle's exp-ans tiles, whole: split, code, join; with AVX-512, with AVX2, without either
//   huffman canonical, 8 streams a tile, the same split and join
//   tiers   three tiers of 2-bit digits over the nine commonest exponents, then a raw byte: bits only
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "core/bundle/checkpoint.hpp"
#include "core/bundle/codec_planes.hpp"
#include "models/llama/llama.hpp"
#include "tests/bench/codec/huffman.hpp"

namespace tare::bench {
namespace {

constexpr int64_t kMostBytes = 64 << 20;  // of a tensor that are timed

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
template <class F>
double fastest(const F& f) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    const double start = now();
    f();
    best = std::min(best, now() - start);
  }
  return best;
}

struct Row {
  std::string name;
  double elements = 0, entropy = 0, outside7 = 0, rans = 0, huffman = 0, tiers = 0;                     // bits a weight
  double encode = 0, decode = 0, encode_avx2 = 0, decode_avx2 = 0, encode_plain = 0, decode_plain = 0;  // GB/s
  double huffman_encode = 0, huffman_decode = 0;                                                        // GB/s
};

// Appends a tile.
void encode_tile(const TileEncoder& encoder, const std::byte* elements, int64_t stride, const TileGrid::Tile& tile,
                 const TileGrid& grid, std::vector<std::byte>* out) {
  const size_t begin = out->size();
  out->resize(begin + static_cast<size_t>(grid.most_tile_bytes(2)));
  out->resize(begin + encoder.encode(elements, stride, tile.rows, tile.columns, std::span(*out).subspan(begin)));
}
double entropy_of(const rans::Histogram& h, double total) {
  double bits = 0;
  for (int64_t n : h)
    if (n > 0) bits -= static_cast<double>(n) * std::log2(static_cast<double>(n) / total);
  return bits / total;
}
// Share of the weights outside the `best` commonest exponents.
double outside(const rans::Histogram& h, size_t best, double total) {
  rans::Histogram sorted = h;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  double sum = 0;
  for (size_t i = best; i < 256; ++i) sum += static_cast<double>(sorted[i]);
  return sum / total;
}

bool measure(const WeightSource& source, const StoredTensor& t, Row* row) {
  std::vector<std::byte> plain(
      static_cast<size_t>(std::min(t.bytes(), kMostBytes / t.row_elements() * t.row_elements())));
  const int64_t rows = static_cast<int64_t>(plain.size()) / 2 / t.row_elements();
  plain.resize(static_cast<size_t>(rows * t.row_elements() * 2));
  if (!source.read(t, 0, rows, DType::bf16, plain).ok()) return false;
  const std::vector<int64_t> shape = {rows, t.row_elements()};
  const TileGrid grid = grid_for(shape);
  PlaneCounter counter(2, true);
  counter.add(plain);
  const rans::Histogram& h = counter.histograms()[1];
  const auto total = static_cast<double>(grid.elements()), bytes = static_cast<double>(plain.size());
  row->name = t.name, row->elements = total, row->entropy = entropy_of(h, total), row->outside7 = outside(h, 7, total);
  row->tiers = 8 + 2 + 2 * outside(h, 3, total) + 2 * outside(h, 6, total) + 8 * outside(h, 9, total);

  const PlaneTables tables = choose_tables(2, counter, grid);
  std::vector<std::byte> coded;
  std::vector<size_t> begins;
  const auto encode_with = [&](rans::Loops loops) {
    const TileEncoder encoder(tables, loops);
    coded.clear(), begins.clear();
    for (int64_t i = 0; i < grid.tiles(); ++i) {
      const auto tile = grid.tile(i);
      begins.push_back(coded.size());
      encode_tile(encoder, plain.data() + (tile.row * grid.columns + tile.column) * 2, grid.columns * 2, tile, grid,
                  &coded);
    }
    begins.push_back(coded.size());
  };
  std::vector<std::byte> back(plain.size());
  bool good = true;
  const auto decode_with = [&](rans::Loops loops) {
    const TileDecoder decoder(tables, loops);
    for (int64_t i = 0; i < grid.tiles(); ++i) {
      const auto tile = grid.tile(i);
      const auto at = static_cast<size_t>(i);
      good &= decoder
                  .decode(std::span(coded).subspan(begins[at], begins[at + 1] - begins[at]), tile.rows, tile.columns,
                          back.data() + (tile.row * grid.columns + tile.column) * 2, grid.columns * 2)
                  .ok();
    }
  };
  row->encode = bytes / fastest([&] { encode_with(rans::best_loops()); }) * 1e-9;
  row->decode = bytes / fastest([&] { decode_with(rans::best_loops()); }) * 1e-9;
  if (rans::loops_here().size() > 1) {
    row->encode_avx2 = bytes / fastest([&] { encode_with(rans::Loops::avx2); }) * 1e-9;
    row->decode_avx2 = bytes / fastest([&] { decode_with(rans::Loops::avx2); }) * 1e-9;
  }
  row->encode_plain = bytes / fastest([&] { encode_with(rans::Loops::plain); }) * 1e-9;
  row->decode_plain = bytes / fastest([&] { decode_with(rans::Loops::plain); }) * 1e-9;
  good &= back == plain;
  row->rans = (static_cast<double>(coded.size()) + 16.0 * static_cast<double>(grid.tiles())) * 8 / total;

  // Huffman on the same tiles; split and join are those of the tiles whose exponents stay raw.
  const Huffman huffman(h);
  PlaneTables raw;
  const TileEncoder raw_encoder(raw);
  const TileDecoder raw_decoder(raw);
  std::vector<std::byte> scratch;
  std::vector<uint8_t> stream;
  std::vector<size_t> places;
  const auto huffman_encode = [&] {
    stream.clear(), places.clear();
    for (int64_t i = 0; i < grid.tiles(); ++i) {
      const auto tile = grid.tile(i);
      scratch.clear();
      encode_tile(raw_encoder, plain.data() + (tile.row * grid.columns + tile.column) * 2, grid.columns * 2, tile, grid,
                  &scratch);
      const auto count = static_cast<size_t>(tile.rows) * static_cast<size_t>(tile.columns), high = (count + 3) / 4 * 4;
      places.push_back(stream.size());
      const auto* from = reinterpret_cast<const uint8_t*>(scratch.data());
      stream.insert(stream.end(), from, from + high);
      huffman.encode({from + high, count}, &stream);
    }
    places.push_back(stream.size());
    stream.resize(stream.size() + 8);
  };
  row->huffman_encode = bytes / fastest(huffman_encode) * 1e-9;
  std::fill(back.begin(), back.end(), std::byte{});
  const auto huffman_decode = [&] {
    for (int64_t i = 0; i < grid.tiles(); ++i) {
      const auto tile = grid.tile(i);
      const auto count = static_cast<size_t>(tile.rows) * static_cast<size_t>(tile.columns), high = (count + 3) / 4 * 4;
      scratch.resize((2 * high + 15) / 16 * 16);
      const uint8_t* from = stream.data() + places[static_cast<size_t>(i)];
      std::memcpy(scratch.data(), from, high);
      huffman.decode(from + high, {reinterpret_cast<uint8_t*>(scratch.data()) + high, count});
      good &= raw_decoder
                  .decode(scratch, tile.rows, tile.columns, back.data() + (tile.row * grid.columns + tile.column) * 2,
                          grid.columns * 2)
                  .ok();
    }
  };
  row->huffman_decode = bytes / fastest(huffman_decode) * 1e-9;
  row->huffman = (static_cast<double>(stream.size()) + 16.0 * static_cast<double>(grid.tiles())) * 8 / total;
  return good && back == plain;
}

void print(const Row& r) {
  std::printf(
      "%-44s %9.0f  %.3f %5.2f %% | rans %.3f  %5.2f %5.2f (avx2 %5.2f %5.2f, plain %5.2f %5.2f) | huffman %.3f  %5.2f "
      "%5.2f | tiers "
      "%.3f\n",
      r.name.c_str(), r.elements, r.entropy, 100 * r.outside7, r.rans, r.encode, r.decode, r.encode_avx2, r.decode_avx2,
      r.encode_plain, r.decode_plain, r.huffman, r.huffman_encode, r.huffman_decode, r.tiers);
}

int run(int argc, char** argv) {
  std::vector<std::string> models, wanted;
  std::string json;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--json" && i + 1 < argc)
      json = argv[++i];
    else if (arg == "--tensor" && i + 1 < argc)
      wanted.push_back(argv[++i]);
    else
      models.push_back(arg);
  }
  if (models.empty()) return std::printf("usage: bench_codec [--json FILE] [--tensor PART-OF-NAME].. MODEL..\n"), 2;
  std::FILE* out = json.empty() ? nullptr : std::fopen(json.c_str(), "w");
  std::printf("%-44s %9s  entropy outside7 | bits, encode and decode GB/s of BF16\n", "tensor", "weights");
  for (const std::string& model : models) {
    const ModelFamily family = llama_family();
    const ModelFamily* const families[] = {&family};
    const auto checkpoint = open_checkpoint(model, families);
    if (!checkpoint.ok()) return std::fprintf(stderr, "%s\n", checkpoint.status().message().c_str()), 1;
    Row sum;
    sum.name = checkpoint->name + ", all of these";
    for (const StoredTensor& t : checkpoint->weights->tensors()) {
      const bool asked = wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const std::string& w) {
                           return t.name.find(w) != std::string::npos;
                         });
      if (!asked || t.shape.size() != 2 || !t.dtype || t.elements() < (1 << 16)) continue;
      Row row;
      if (!measure(*checkpoint->weights, t, &row)) return std::fprintf(stderr, "%s: WRONG\n", t.name.c_str()), 1;
      print(row);
      if (out != nullptr)
        std::fprintf(out,
                     "{\"model\":\"%s\",\"tensor\":\"%s\",\"weights\":%.0f,\"entropy\":%.4f,\"outside7\":%.5f,"
                     "\"rans_bits\":%.4f,\"huffman_bits\":%.4f,\"tiers_bits\":%.4f,\"rans_encode\":%.3f,"
                     "\"rans_decode\":%.3f,\"rans_avx2_encode\":%.3f,\"rans_avx2_decode\":%.3f,\"rans_plain_encode\":%."
                     "3f,\"rans_plain_decode\":%.3f,"
                     "\"huffman_encode\":%.3f,\"huffman_decode\":%.3f}\n",
                     checkpoint->name.c_str(), row.name.c_str(), row.elements, row.entropy, row.outside7, row.rans,
                     row.huffman, row.tiers, row.encode, row.decode, row.encode_avx2, row.decode_avx2, row.encode_plain,
                     row.decode_plain, row.huffman_encode, row.huffman_decode);
      double Row::*const weighted[] = {
          &Row::entropy,      &Row::outside7,       &Row::rans,          &Row::huffman,     &Row::tiers,
          &Row::encode,       &Row::decode,         &Row::encode_avx2,   &Row::decode_avx2, &Row::encode_plain,
          &Row::decode_plain, &Row::huffman_encode, &Row::huffman_decode};
      for (auto field : weighted)
        sum.*field = (sum.*field * sum.elements + row.*field * row.elements) / (sum.elements + row.elements);
      sum.elements += row.elements;
    }
    print(sum);
  }
  if (out != nullptr) std::fclose(out);
  return 0;
}

}  // namespace
}  // namespace tare::bench

int main(int argc, char** argv) { return tare::bench::run(argc, argv); }
