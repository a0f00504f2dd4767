// Matrices of BF16 numbers for the tests of codes, and what lays them out in two passes.
#pragma once
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/api/kernel.hpp"
#include "plugins/linear/coded_layout.hpp"

namespace tare::linear::test {

using Numbers = std::vector<uint16_t>;

inline WeightInfo matrix(int64_t outputs, int64_t inputs) { return {"w", DType::bf16, {outputs, inputs}, 1}; }

// As trained models have them: Gaussian in a row, rows of a log-normal scale (2.6 to 2.7 bits of exponent entropy).
inline Numbers trained_like(int64_t outputs, int64_t inputs, uint32_t seed = 1, double row_spread = 0.33) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(0, 1);
  Numbers out;
  for (int64_t n = 0; n < outputs; ++n) {
    const double scale = 0.02 * std::exp(row_spread * normal(random));
    for (int64_t k = 0; k < inputs; ++k) out.push_back(to_bf16(static_cast<float>(scale * normal(random))).bits);
  }
  return out;
}

struct LaidOut {
  std::unique_ptr<LayoutPlan> plan;
  std::vector<std::byte> bytes;  // 64-byte aligned at `offset`
  size_t offset = 0;
  const std::byte* data() const { return bytes.data() + offset; }
  Coding coding() const { return CodedMatrix(data()).code(); }
};

// In pieces of `step` rows, last piece first.
inline LaidOut lay_out(const Layout& layout, const WeightInfo& info, const Numbers& numbers, int64_t step = 0) {
  LaidOut out;
  const int64_t rows = info.outputs(), piece = step == 0 ? std::max<int64_t>(rows, 1) : step;
  auto survey = layout.survey(info);
  REQUIRE(survey.ok());
  REQUIRE(*survey != nullptr);
  const auto pieces = [&](const auto& use) {
    for (int64_t begin = (rows - 1) / piece * piece; begin >= 0 && rows > 0; begin -= piece)
      REQUIRE(use(begin, std::min(rows, begin + piece), numbers.data() + begin * info.inputs()).ok());
  };
  pieces([&](int64_t b, int64_t e, const void* p) { return (*survey)->look(b, e, p); });
  auto plan = (*survey)->finish();
  REQUIRE(plan.ok());
  out.plan = std::move(*plan);
  CHECK(out.plan->bytes() <= layout.bytes(info));
  out.bytes.assign(static_cast<size_t>(out.plan->bytes()) + 128, std::byte{0xa5});
  out.offset = (64 - reinterpret_cast<uintptr_t>(out.bytes.data()) % 64) % 64;
  pieces([&](int64_t b, int64_t e, const void* p) { return out.plan->encode(b, e, p, out.bytes.data() + out.offset); });
  for (size_t i = 0; i < out.bytes.size(); ++i)  // nothing before or behind its own bytes
    if (i < out.offset || i >= out.offset + static_cast<size_t>(out.plan->bytes()))
      REQUIRE(out.bytes[i] == std::byte{0xa5});
  return out;
}

inline double bits_a_weight(const LaidOut& laid, const WeightInfo& info) {
  return 8.0 * static_cast<double>(laid.plan->bytes()) / static_cast<double>(info.outputs() * info.inputs());
}

}  // namespace tare::linear::test
