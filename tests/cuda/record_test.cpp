// The w12 record: packing is exact for every weight, and what a configuration needs is what it says.
#include <doctest/doctest.h>

#include <random>
#include <set>
#include <vector>

#include "plugins/linear/cuda/catalog.hpp"
#include "plugins/linear/cuda/expression.hpp"
#include "plugins/linear/cuda/pack_host.hpp"
#include "plugins/linear/cuda/product.hpp"

using namespace tare::linear_cuda;

TEST_CASE("every weight inside the window comes back with its exponent moved to 112 + code") {
  for (const int base : {1, 100, 109, 239}) {
    for (uint32_t weight = 0; weight < 0x10000; ++weight) {
      if (!in_window(weight, base)) continue;
      // all eight places of a step, each beside different neighbours
      for (int at = 0; at < 8; ++at) {
        uint32_t registers[4];
        for (int r = 0; r < 4; ++r)
          registers[r] = windowed(0x8000u | static_cast<uint32_t>(base + 5) << 7 | 0x55, base) * 0x10001u;
        const int shift = 16 * (at & 1);
        registers[at / 2] = (registers[at / 2] & ~(0xffffu << shift)) | windowed(weight, base) << shift;
        const StepRegisters out = unpack_step(pack_step(registers));
        const uint32_t decoded = (out.reg[at / 2] >> shift) & 0xffff;
        REQUIRE(unscale_weight(decoded, kDecodedExponent - base) == weight);
      }
      if (weight % 97 != 0) weight += 96;  // a sample of mantissas, all exponents and signs
    }
  }
}

TEST_CASE("scaling an escape is exact or says that it is not") {
  int exact_count = 0, refused = 0;
  for (const int base : {60, 109, 180}) {
    const int shift = kDecodedExponent - base;
    for (uint32_t weight = 0; weight < 0x10000; ++weight) {
      bool exact = true;
      const uint32_t scaled = scale_weight(weight, shift, exact);
      if (exact) {
        REQUIRE(unscale_weight(scaled, shift) == weight);
        ++exact_count;
      } else {
        ++refused;
      }
    }
  }
  CHECK(exact_count > 100000);
  CHECK(refused > 1000);  // infinities, and what leaves the range of normal numbers
  bool exact = true;
  CHECK(scale_weight(0x0000, 3, exact) == 0x0000);
  CHECK(scale_weight(0x8000, 3, exact) == 0x8000);
  CHECK(exact);
  scale_weight(0x7f80, 3, exact);
  CHECK_FALSE(exact);
}

TEST_CASE("an escape entry keeps its four parts") {
  const uint32_t entry = escape_entry(31, 13, 1, 0x1234);
  CHECK(escape_lane(entry) == 31);
  CHECK(escape_register(entry) == 13);
  CHECK(escape_half(entry) == 1);
  CHECK((escape_bits(entry) ^ kEscapePattern) == 0x1234);
}

TEST_CASE("fragments cover every weight of a record once") {
  std::set<int> seen;
  for (int lane = 0; lane < 32; ++lane) {
    for (int reg = 0; reg < 16; ++reg) {
      for (int half = 0; half < 2; ++half)
        seen.insert(fragment_row(lane, reg) * kChunkColumns + fragment_column(lane, reg, half));
    }
  }
  CHECK(seen.size() == kRecordWeights);
  CHECK(*seen.rbegin() == kRecordWeights - 1);
}

TEST_CASE("records lie once each, whatever the number of strips in a block") {
  for (const int per_block : {1, 2, 4, 16}) {
    const RecordOrder order{256, 320, per_block};
    std::set<int64_t> seen;
    for (int strip = 0; strip < order.strips(); ++strip) {
      for (int chunk = 0; chunk < order.chunks(); ++chunk) seen.insert(order.index(strip, chunk));
    }
    CHECK(static_cast<int64_t>(seen.size()) == order.records());
    CHECK(*seen.rbegin() == order.records() - 1);
  }
}

TEST_CASE("a w12 record with its header takes 12.125 bits a weight") {
  CHECK((payload_bytes(WeightCode::kW12) + header_bytes(WeightCode::kW12, 1)) * 8.0 / kRecordWeights ==
        doctest::Approx(12.125));
  CHECK(payload_bytes(WeightCode::kW12) % 128 == 0);
}

// A w11 record as the packer makes it and a kernel reads it, in plain steps.
struct ShortRecord {
  ShortWords lanes[32];
  std::vector<uint32_t> escapes;
};
ShortRecord encode_short(const std::vector<uint16_t>& weights, int base, bool& exact) {
  ShortRecord out;
  for (uint32_t lane = 0; lane < 32; ++lane) {
    uint32_t kept[16] = {};
    for (uint32_t reg = 0; reg < 16; ++reg) {
      for (uint32_t half = 0; half < 2; ++half) {
        const int at = fragment_row(static_cast<int>(lane), static_cast<int>(reg)) * kChunkColumns +
                       fragment_column(static_cast<int>(lane), static_cast<int>(reg), static_cast<int>(half));
        const uint32_t weight = weights[static_cast<size_t>(at)];
        if (in_window(weight, base, kShortWindow)) {
          kept[reg] |= windowed(weight, base) << (16 * half);
        } else {
          kept[reg] |= (weight & 0x807f) << (16 * half);
          out.escapes.push_back(short_escape_entry(lane, reg, half, short_escape_exponent(weight, base, exact)));
        }
      }
    }
    out.lanes[lane] = pack_short(kept);
  }
  return out;
}
std::vector<uint16_t> decode_short(const ShortRecord& record, int base) {
  RecordRegisters lanes[32];
  for (int lane = 0; lane < 32; ++lane) lanes[lane] = unpack_short(record.lanes[lane]);
  for (const uint32_t entry : record.escapes) {
    lanes[short_escape_lane(entry)].reg[short_escape_register(entry)] ^= short_escape_bits(entry)
                                                                         << (16 * short_escape_half(entry));
  }
  std::vector<uint16_t> out(kRecordWeights);
  for (int lane = 0; lane < 32; ++lane) {
    for (int reg = 0; reg < 16; ++reg) {
      for (int half = 0; half < 2; ++half) {
        const uint32_t decoded = (lanes[lane].reg[reg] >> (16 * half)) & 0xffff;
        out[static_cast<size_t>(fragment_row(lane, reg) * kChunkColumns + fragment_column(lane, reg, half))] =
            static_cast<uint16_t>(unscale_weight(decoded, kDecodedExponent - base));
      }
    }
  }
  return out;
}

TEST_CASE("a w11 record gives every weight back, escapes and zeros included") {
  std::mt19937 random(11);
  for (const int base : {60, 117, 200}) {
    for (int round = 0; round < 20; ++round) {
      std::vector<uint16_t> weights(kRecordWeights);
      for (uint16_t& weight : weights) {
        const uint32_t bits = random();
        // Mostly inside the window; the others anywhere that w11 holds, and zeros of both signs.
        const int exponent = bits % 50 < 48 ? base + static_cast<int>(bits >> 8) % kShortWindow
                                            : base - kShortExponentBias + 1 + static_cast<int>(bits >> 8) % 63;
        weight = static_cast<uint16_t>((bits >> 16 & 0x807f) | static_cast<uint32_t>(exponent) << 7);
        if (bits % 50 == 49 && (bits >> 30) == 0) weight = static_cast<uint16_t>(bits >> 16 & 0x8000);
      }
      bool exact = true;
      const ShortRecord record = encode_short(weights, base, exact);
      CHECK(exact);
      CHECK(record.escapes.size() > 10);
      for (const uint32_t entry : record.escapes) REQUIRE(entry < 0x10000);  // 16 bits each
      CHECK(decode_short(record, base) == weights);
    }
  }
}

TEST_CASE("w11 says which weights it cannot hold") {
  const auto holds = [](uint32_t weight, int base) {
    bool exact = true;
    short_escape_exponent(weight, base, exact);
    return exact;
  };
  CHECK(holds(0x0000, 117));
  CHECK(holds(0x8000, 117));
  CHECK_FALSE(holds(0x0001, 117));  // a subnormal
  CHECK_FALSE(holds(0x7f80, 117));  // infinity
  CHECK(holds(70u << 7, 117));      // 47 below the window
  CHECK_FALSE(holds(69u << 7, 117));
  CHECK(holds(132u << 7 | 0x7f, 117));  // 15 above its lowest exponent
  CHECK_FALSE(holds(133u << 7, 117));
}

TEST_CASE("w11 takes 11.375 bits a weight and at most 11.5 with the escapes that its headers do not hold") {
  const double bits = (payload_bytes(WeightCode::kW11) + header_bytes(WeightCode::kW11, 3)) * 8.0 / kRecordWeights;
  CHECK(bits == doctest::Approx(11.375));
  CHECK(payload_bytes(WeightCode::kW11) % 128 == 0);
  CHECK(short_escapes_in_header(3) == 22);
  CHECK(first_header_blocks(WeightCode::kW11) == 3);
  CHECK(choose_header_blocks(3, 3000, 1000, WeightCode::kW11) == 3);
  CHECK(choose_header_blocks(3, 3001, 1000, WeightCode::kW11) == 0);
  CHECK(bits + 3 * 32.0 / kRecordWeights <= 11.5);
}

TEST_CASE("the window covers most weights and never exponent 0 or 255") {
  std::array<uint64_t, 256> histogram{};
  for (size_t e = 100; e < 118; ++e) histogram[e] = 1000 - e;
  histogram[0] = 1 << 20;
  const WindowChoice choice = choose_window(histogram);
  CHECK(choice.base == 100);
  CHECK(choice.outside == (1u << 20) + histogram[116] + histogram[117]);
}

TEST_CASE("headers grow with clustered escapes and then give up") {
  CHECK(choose_header_blocks(1, 0, 1000) == 1);
  CHECK(choose_header_blocks(1, 62, 1000) == 1);
  CHECK(choose_header_blocks(1, 63, 1000) == 2);
  CHECK(choose_header_blocks(4, 63, 1000) == 0);
}

TEST_CASE("an expression prints every field") {
  const StripConfig strip{.strips = 14, .k_groups = 1};
  CHECK(expression(strip) ==
        "tare::linear_cuda::strip<tare::linear_cuda::StripConfig{.code = tare::linear_cuda::WeightCode::kW12, "
        ".header_blocks = 1, "
        ".tokens = 8, .strips = 14, .k_groups = 1, .stages = 6, .sum_leaves = false, .tensor_copies = false, "
        ".gated = false}>");
  CHECK(expression(WideConfig{}).find(".band = 8, .cut = false") != std::string::npos);
}

TEST_CASE("every refusal has a reason that names the numbers") {
  const MatrixShape matrix{.order = {4096, 4096, 2}, .leaves = 4};
  CHECK(accepts(StripConfig{}, matrix, 8, 132));
  const auto reason = [&](const AnyConfig& config, const MatrixShape& m, int tokens) {
    return accepts(config, m, tokens, 132).reason;
  };
  CHECK(reason(StripConfig{}, matrix, 9) == "9 tokens, the tile has 8");
  CHECK(reason(StripConfig{.strips = 3}, matrix, 8) == "256 strips are not a multiple of 3");
  CHECK(reason(StripConfig{.strips = 2, .k_groups = 4, .tensor_copies = true, .gated = true}, matrix, 8) ==
        "tensor copies of 4 headers do not end at 128 bytes");
  CHECK(accepts(StripConfig{.strips = 4, .k_groups = 4, .tensor_copies = true, .gated = true}, matrix, 8, 132));
  CHECK(reason(StripConfig{.strips = 3, .gated = true}, matrix, 8) == "3 strips, gate and up have as many each");
  CHECK(reason(StripConfig{.k_groups = 2}, matrix, 8) == "2 groups of K, the matrix has 4 leaves");
  CHECK(reason(StripConfig{}, {.order = {4096, 4000, 2}, .leaves = 4}, 8) ==
        "K = 4000 is not a multiple of 256 (4 leaves)");
  CHECK(reason(StripConfig{}, {.order = {4090, 4096, 2}, .leaves = 4}, 8) == "N = 4090 is not a multiple of 32");
  CHECK(reason(StripConfig{.stages = 99}, matrix, 8).find("bytes of shared memory") != std::string::npos);
  CHECK(reason(WideConfig{}, matrix, 256) == "the kernel has one leaf, the matrix has 4");
  CHECK(reason(ClusterConfig{.k_groups = 1, .cluster = 1}, matrix, 64) == "the kernel has 1 leaves, the matrix 4");
}

TEST_CASE("every number of tokens of a layer has candidates, all of which pass, on every architecture") {
  struct Size {
    int rows, columns;
  };
  for (const Size size : {Size{6144, 4096}, Size{4096, 4096}, Size{28672, 4096}, Size{4096, 14336}, Size{128256, 4096},
                          Size{1280, 576}}) {
    const Placement placement = choose_placement(size.rows, size.columns, 132);
    const MatrixShape matrix{.order = {size.rows, size.columns, placement.strips_per_block},
                             .leaves = placement.leaves};
    for (const char* architecture : {"sm_80", "sm_89", "sm_90a", "sm_100a", "sm_120a"}) {
      for (const int tokens : {1, 7, 8, 16, 32, 33, 64, 128, 256, 4096}) {
        const auto found = candidates(matrix, tokens, 132, architecture);
        REQUIRE_FALSE(found.empty());
        for (const AnyConfig& config : found) CHECK(accepts(config, matrix, tokens, 132));
      }
    }
  }
}

TEST_CASE("a dense variant fits into shared memory") {
  const MatrixShape matrix{.order = {28672, 4096, 16}, .leaves = 1};
  for (const int tokens : {1, 32, 64, 128, 256}) {
    for (const AnyConfig& config : candidates(matrix, tokens, 132, "sm_90a")) {
      MatrixShape dense = matrix;
      dense.code = WeightCode::kDense;
      CHECK_MESSAGE(accepts(dense_variant(config), dense, tokens, 132), label(config));
    }
  }
}
