// The layouts for CUDA on the host: every number comes back bit for bit, by any ranges of rows; what does not pay falls
// back to plain numbers and says why; heads that lie are refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "plugins/linear/cuda/strips_code.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

using namespace tare;
using namespace tare::linear_cuda;

namespace {

enum class Kind { gaussian, outliers, clustered, subnormal, infinite, random };

std::vector<uint16_t> numbers(Kind kind, int64_t rows, int64_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<uint16_t> out(static_cast<size_t>(rows * columns));
  for (size_t i = 0; i < out.size(); ++i) {
    float value = normal(random);
    if (kind == Kind::outliers && random() % 2000 == 0) value *= 300;
    if (kind == Kind::outliers && random() % 3000 == 0) value = 0;
    if (kind == Kind::clustered && i / 64 % 40 == 7 && random() % 4 == 0) value *= 1e-5f;
    if (kind == Kind::subnormal && random() % 20000 == 0) value = 1e-40f;
    if (kind == Kind::infinite && i == 77) value = std::numeric_limits<float>::infinity();
    out[i] = to_bf16(value).bits;
    if (kind == Kind::random) out[i] = static_cast<uint16_t>(random());
  }
  return out;
}

WeightInfo matrix(int64_t rows, int64_t columns) { return {"m", DType::bf16, {rows, columns}, 1}; }

struct Laid {
  std::vector<std::byte> bytes;
  std::string note;
  bool pays = false;
};
Laid lay(const Layout& layout, const WeightInfo& info, const std::vector<uint16_t>& plain, int64_t step) {
  const int64_t rows = info.outputs(), columns = info.inputs();
  auto survey = layout.survey(info);
  REQUIRE(survey.ok());
  const auto ranges = [&](const auto& use) {
    // Backwards: nothing may depend on the order.
    for (int64_t begin = (rows - 1) / step * step; begin >= 0; begin -= step) {
      const Status s = use(begin, std::min(rows, begin + step), plain.data() + begin * columns);
      REQUIRE_MESSAGE(s.ok(), s.message());
    }
  };
  Laid out;
  if (*survey == nullptr) {
    out.bytes.resize(static_cast<size_t>(layout.bytes(info)));
    ranges([&](int64_t b, int64_t e, const void* p) { return layout.encode(info, b, e, p, out.bytes.data()); });
    return out;
  }
  ranges([&](int64_t b, int64_t e, const void* p) { return (*survey)->look(b, e, p); });
  auto plan = (*survey)->finish();
  REQUIRE(plan.ok());
  CHECK((*plan)->bytes() <= layout.bytes(info));
  out.bytes.resize(static_cast<size_t>((*plan)->bytes()));
  ranges([&](int64_t b, int64_t e, const void* p) { return (*plan)->encode(b, e, p, out.bytes.data()); });
  out.note = (*plan)->note(), out.pays = (*plan)->pays();
  return out;
}

void comes_back(const Layout& layout, const WeightInfo& info, const std::vector<uint16_t>& plain, const Laid& laid) {
  const int64_t rows = info.outputs(), columns = info.inputs();
  for (const int64_t step : {int64_t{1}, int64_t{7}, int64_t{16}, rows}) {
    std::vector<uint16_t> back(plain.size(), 0xabcd);
    for (int64_t begin = 0; begin < rows; begin += step) {
      const Status s =
          layout.decode(info, begin, std::min(rows, begin + step), laid.bytes.data(), back.data() + begin * columns);
      REQUIRE_MESSAGE(s.ok(), s.message());
    }
    CHECK(back == plain);
  }
}

}  // namespace

TEST_CASE("every number comes back, whatever the numbers and the cut") {
  const auto w12 = make_w12_strips(), w11 = make_w11_strips(), dense = make_dense_strips();
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{16, 64}, {48, 192}, {64, 256}, {320, 64}, {160, 1024}})
    for (const Kind kind :
         {Kind::gaussian, Kind::outliers, Kind::clustered, Kind::subnormal, Kind::infinite, Kind::random}) {
      CAPTURE(rows);
      CAPTURE(columns);
      CAPTURE(static_cast<int>(kind));
      const WeightInfo info = matrix(rows, columns);
      const auto plain = numbers(kind, rows, columns, 5);
      for (const Layout* layout : {w12.get(), w11.get(), dense.get()})
        for (const int64_t step : {int64_t{16}, int64_t{48}, rows})
          comes_back(*layout, info, plain, lay(*layout, info, plain, step));
      // Without a survey: plain numbers in records.
      std::vector<std::byte> bytes(static_cast<size_t>(w12->bytes(info)));
      REQUIRE(w12->encode(info, 0, rows, plain.data(), bytes.data()).ok());
      comes_back(*w12, info, plain, {bytes, "", false});
    }
}

TEST_CASE("the bytes do not depend on the ranges in which rows come") {
  const auto w12 = make_w12_strips();
  const WeightInfo info = matrix(320, 512);
  const auto plain = numbers(Kind::outliers, 320, 512, 9);
  CHECK(lay(*w12, info, plain, 16).bytes == lay(*w12, info, plain, 320).bytes);
}

TEST_CASE("trained-like numbers take at most 12.15 bits a weight over a model, headers included") {
  const auto w12 = make_w12_strips();
  int64_t bytes = 0, weights = 0;
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{1024, 1024}, {256, 1024}, {2816, 1024}, {1024, 2816}}) {
    const auto plain = numbers(Kind::gaussian, rows, columns, 3);
    const Laid laid = lay(*w12, matrix(rows, columns), plain, rows);
    CHECK(laid.pays);
    CHECK(std::abs(w12->expected_bytes(matrix(rows, columns)) - std::ssize(laid.bytes)) < rows * columns / 100);
    bytes += std::ssize(laid.bytes), weights += rows * columns;
  }
  CHECK(static_cast<double>(bytes) * 8 / static_cast<double>(weights) <= 12.15);
}

TEST_CASE("w11 takes at most 11.5 bits, and falls back to w12 and to plain numbers") {
  const auto w11 = make_w11_strips();
  const WeightInfo info = matrix(1024, 1024);
  const auto note = [&](Kind kind) {
    const auto plain = numbers(kind, 1024, 1024, 5);
    const Laid laid = lay(*w11, info, plain, 1024);
    comes_back(*w11, info, plain, laid);
    return laid.note;
  };
  CHECK_MESSAGE(note(Kind::gaussian).starts_with("w11, 11.3"), note(Kind::gaussian));
  CHECK_MESSAGE(note(Kind::subnormal).starts_with("dense"), note(Kind::subnormal));
  CHECK_MESSAGE(note(Kind::random).starts_with("dense"), note(Kind::random));
}

TEST_CASE("what does not pay lies plain and says why") {
  const auto w12 = make_w12_strips();
  const auto note = [&](Kind kind) {
    const auto plain = numbers(kind, 160, 1024, 5);
    const Laid laid = lay(*w12, matrix(160, 1024), plain, 160);
    return std::string(laid.pays ? "pays: " : "plain: ") + laid.note;
  };
  CHECK(note(Kind::gaussian).starts_with("pays: w12, 12.1"));
  CHECK(note(Kind::random).find("w12 does not pay: there are infinities or NaN") != std::string::npos);
  CHECK(note(Kind::infinite).find("plain: dense, 16.0") == 0);
  CHECK(note(Kind::subnormal).find("leave the range that it holds") != std::string::npos);
  // Escapes in heaps take longer headers.
  CHECK(note(Kind::outliers).find("pays: ") == 0);
}

TEST_CASE("shapes that do not fit into records are refused by their numbers") {
  const auto w12 = make_w12_strips();
  CHECK(w12->supports(matrix(100, 64)).reason == "N = 100 is not a multiple of 16");
  CHECK(w12->supports(matrix(96, 100)).reason == "K = 100 is not a multiple of 64");
  CHECK(w12->supports({"m", DType::f32, {16, 64}, 1}).reason == "holds bf16, not f32");
  CHECK_FALSE(w12->survey(matrix(100, 64)).ok());
}

TEST_CASE("a head that lies is refused, and an overflow index past the list") {
  const auto w12 = make_w12_strips();
  const WeightInfo info = matrix(64, 256);
  const auto plain = numbers(Kind::outliers, 64, 256, 5);
  const Laid laid = lay(*w12, info, plain, 64);
  std::vector<uint16_t> back(plain.size());
  for (size_t at = 0; at < static_cast<size_t>(kStripsHeadBytes); at += 4) {
    auto bytes = laid.bytes;
    bytes[at] ^= std::byte{0x41};
    // A head that is still one of this matrix decodes to something; all others are refused. Nothing may crash.
    const Status s = w12->decode(info, 0, 64, bytes.data(), back.data());
    if (at < 24) CHECK_FALSE(s.ok());
  }
  auto bytes = laid.bytes;
  StripsHead head;
  std::memcpy(&head, bytes.data(), sizeof head);
  const uint32_t word = 0xffffff00u | 200;
  std::memcpy(bytes.data() + head.headers_at, &word, 4);
  CHECK(w12->decode(info, 0, 16, bytes.data(), back.data()).message().find("points past the") != std::string::npos);
  CHECK_FALSE(read_head(bytes.data(), 100, info).ok());
}

TEST_CASE("check() of bytes from a file: what kernels trust") {
  const auto dense = make_dense_strips(), w12 = make_w12_strips(), w11 = make_w11_strips();
  const WeightInfo info = matrix(64, 256);
  const auto plain = numbers(Kind::outliers, 64, 256, 5);
  for (const Layout* layout : {dense.get(), w12.get(), w11.get()}) {
    CAPTURE(layout->id());
    const Laid laid = lay(*layout, info, plain, 64);
    CHECK(layout->check(info, laid.bytes).reason == "");
    CHECK_FALSE(layout->check(matrix(64, 320), laid.bytes));
    for (size_t at = 0; at < static_cast<size_t>(kStripsHeadBytes); at += 4) {
      if (at == 36) continue;  // the exponent of code 0 says what numbers are, not where
      auto bytes = laid.bytes;
      bytes[at] ^= std::byte{0x41};
      CAPTURE(at);
      CHECK_FALSE(layout->check(info, bytes));
    }
    auto bytes = laid.bytes;
    bytes.resize(bytes.size() - 128);
    CHECK(layout->check(info, bytes).reason.find(" bytes, its head says ") != std::string::npos);
    bytes.resize(64);
    CHECK(layout->check(info, bytes).reason.find("expected a head of 128") != std::string::npos);
  }
  const Laid laid = lay(*w12, info, plain, 64);
  StripsHead head;
  std::memcpy(&head, laid.bytes.data(), sizeof head);
  REQUIRE(head.code == static_cast<int32_t>(WeightCode::kW12));
  auto bytes = laid.bytes;
  const uint32_t word = 0xffffff00u | 200;
  std::memcpy(bytes.data() + head.headers_at, &word, 4);
  CHECK(w12->check(info, bytes).reason.find("the escapes of record 0 lie past the ") == 0);
  CHECK(dense->check(info, laid.bytes).reason == "its head names code 1, expected at most 0");
}

TEST_CASE("a check in pieces says of every byte what the whole one says") {
  const auto dense = make_dense_strips(), w12 = make_w12_strips(), w11 = make_w11_strips();
  const WeightInfo info = matrix(256, 1024);
  const auto plain = numbers(Kind::outliers, 256, 1024, 6);
  std::mt19937 random(7);
  int refused = 0;
  for (const Layout* layout : {dense.get(), w12.get(), w11.get()}) {
    CAPTURE(layout->id());
    const Laid good = lay(*layout, info, plain, 64);
    StripsHead head;
    std::memcpy(&head, good.bytes.data(), sizeof head);
    const auto size = static_cast<int64_t>(good.bytes.size());
    for (int round = 0; round < 300; ++round) {
      auto bytes = good.bytes;
      // The head, a header or what is behind the list.
      const int64_t begin = round % 3 == 0 ? 0 : round % 3 == 1 ? head.headers_at : head.overflow_at;
      const int64_t end = round % 3 == 0 ? kStripsHeadBytes : round % 3 == 1 ? head.overflow_at : size;
      if (round > 0 && end > begin) bytes[static_cast<size_t>(begin + random() % (end - begin))] ^= std::byte{0x93};
      const auto check = layout->piece_check(info, size);
      const int64_t step = PieceCheck::kAlignment * (1 + random() % 20);
      std::vector<std::string> said;
      const auto look = [&](int64_t at) {
        const Verdict v = check->look(
            at, std::span(bytes).subspan(static_cast<size_t>(at), static_cast<size_t>(std::min(step, size - at))));
        if (!v) said.push_back(v.reason);
        return v;
      };
      if (look(0))  // the others backwards
        for (int64_t at = (size - 1) / step * step; at > 0; at -= step) look(at);
      const std::string whole = layout->check(info, bytes).reason;
      CHECK(said.empty() == whole.empty());
      if (!whole.empty()) CHECK(std::find(said.begin(), said.end(), whole) != said.end());
      refused += !whole.empty();
    }
  }
  CHECK(refused > 300);
}
