// A layout's promise is that numbers survive, bit for bit: all of them, in rows of odd lengths, encoded in any order,
// where the code pays and where it does not.
#include <cstdio>
#include <random>
#include <vector>

#include "row12.hpp"

namespace {

int failures = 0;
void check(bool ok, const char* what) {
  if (!ok) std::fprintf(stderr, "failed: %s\n", what), ++failures;
}

void round_trip(int64_t outputs, int64_t inputs, const std::vector<uint16_t>& plain, bool pays, const char* what) {
  const auto layout = org_example::make_row12();
  const tare::WeightInfo info{"w", tare::DType::bf16, {outputs, inputs}, 1};
  const auto survey = std::move(layout->survey(info)).value();
  check(survey->look(outputs / 2, outputs, plain.data() + outputs / 2 * inputs).ok(), what);
  check(survey->look(0, outputs / 2, plain.data()).ok(), what);
  const auto plan = std::move(survey->finish()).value();
  check(plan->pays() == pays, what);
  check(plan->bytes() <= layout->bytes(info), what);
  std::vector<std::byte> laid(static_cast<size_t>(plan->bytes()) + 1, std::byte{0x5a});
  for (int64_t r = outputs; r-- > 0;) check(plan->encode(r, r + 1, plain.data() + r * inputs, laid.data()).ok(), what);
  check(laid.back() == std::byte{0x5a}, what);
  std::vector<uint16_t> back(plain.size());
  check(layout->decode(info, 0, outputs, laid.data(), back.data()).ok(), what);
  check(back == plain, what);
}

}  // namespace

int main() {
  std::vector<uint16_t> all(1 << 16);
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint16_t>(i);
  round_trip(256, 256, all, false, "every BF16 number");
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 0.02f);
  for (const auto& [outputs, inputs] : {std::pair{1, 1}, {3, 7}, {64, 129}, {300, 64}}) {
    std::vector<uint16_t> like(static_cast<size_t>(outputs) * static_cast<size_t>(inputs));
    for (uint16_t& v : like) v = tare::to_bf16(normal(random)).bits;
    round_trip(outputs, inputs, like, outputs * inputs > 1, "numbers as trained");
    for (uint16_t& v : like) v = 0x3f80;
    round_trip(outputs, inputs, like, outputs * inputs > 1, "all equal");
  }
  round_trip(0, 64, {}, false, "no rows");
  if (failures == 0) std::puts("row12: every bit survives");
  return failures == 0 ? 0 : 1;
}
