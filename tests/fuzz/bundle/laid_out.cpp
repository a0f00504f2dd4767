// The input picks a layout and a shape, then edits bytes that the layout wrote. What check() lets pass is decoded from
// memory of exactly its size: a read that leaves it is the address sanitiser's to find.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "plugins/linear/coded_layout.hpp"
#include "plugins/linear/cpu_layouts.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

using namespace tare;

namespace {

const Layout& layout_at(size_t i) {
  static const std::unique_ptr<Layout> all[] = {linear::make_rows_layout(),       linear::make_cpu_tiles_layout(),
                                                linear::make_w12_layout(),        linear::make_w11_layout(),
                                                linear_cuda::make_dense_strips(), linear_cuda::make_w12_strips(),
                                                linear_cuda::make_w11_strips()};
  return *all[i % std::size(all)];
}

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};
using Memory = std::unique_ptr<std::byte, Free>;

std::vector<std::byte> laid_out(const Layout& layout, const WeightInfo& weight, uint32_t seed) {
  const int64_t rows = weight.outputs();
  std::vector<uint16_t> plain(static_cast<size_t>(rows * weight.inputs()));
  for (uint16_t& v : plain) {
    seed = seed * 1664525 + 1013904223;
    v = static_cast<uint16_t>((seed >> 16 & 0x807f) | (117 + (seed >> 8) % 6) << 7);
    if (seed % 97 == 0) v = static_cast<uint16_t>(seed >> 4 & 0x3fff);
  }
  auto survey = layout.survey(weight);
  if (!survey.ok()) std::abort();
  std::unique_ptr<LayoutPlan> plan;
  if (*survey != nullptr) {
    if (!(*survey)->look(0, rows, plain.data()).ok()) std::abort();
    plan = std::move(*(*survey)->finish());
  }
  std::vector<std::byte> out(static_cast<size_t>(plan != nullptr ? plan->bytes() : layout.bytes(weight)));
  const Status done = plan != nullptr ? plan->encode(0, rows, plain.data(), out.data())
                                      : layout.encode(weight, 0, rows, plain.data(), out.data());
  if (!done.ok() || !layout.check(weight, out)) std::abort();
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 8) return 0;
  const Layout& layout = layout_at(data[0]);
  WeightInfo weight{"w", DType::bf16, {1 + data[1] % 96, 1 + data[2]}, 1};
  if (layout.device_kind() == "cuda") weight.shape = {16 * (1 + data[1] % 6), 64 * (1 + data[2] % 4)};
  std::vector<std::byte> bytes = laid_out(layout, weight, data[3]);
  const int cut = data[4] % 16;
  if (cut == 1) bytes.resize(bytes.size() * data[5] / 256);
  if (cut == 2) bytes.resize(bytes.size() + data[5]);
  for (size_t at = 6; at + 3 <= size && !bytes.empty(); at += 3) {  // place from either end, new value
    const size_t place = data[at] | static_cast<size_t>(data[at + 1] & 127) << 8;
    const size_t from_start = place % bytes.size();
    bytes[data[at + 1] & 128 ? bytes.size() - 1 - from_start : from_start] = static_cast<std::byte>(data[at + 2]);
  }
  const size_t rounded = (bytes.size() + 63) / 64 * 64;
  const Memory exact(static_cast<std::byte*>(rounded == bytes.size()
                                                 ? std::aligned_alloc(64, std::max<size_t>(rounded, 64))
                                                 : std::malloc(std::max<size_t>(bytes.size(), 1))));
  if (!bytes.empty()) std::memcpy(exact.get(), bytes.data(), bytes.size());
  if (!layout.check(weight, {exact.get(), bytes.size()})) return 0;
  std::vector<uint16_t> back(static_cast<size_t>(weight.outputs() * weight.inputs()));
  (void)layout.decode(weight, 0, weight.outputs(), exact.get(), back.data());
  (void)layout.decode(weight, weight.outputs() / 2, weight.outputs() / 2 + 1, exact.get(), back.data());
  return 0;
}
