// The input makes a weight, lays it out in a built-in layout, and then damages the bytes. What Layout::check() lets
// through has to keep decoders and kernels inside the buffer (the address sanitizer watches), and rows have to come out
// the same whether they are decoded together or alone.
//   bytes 0 to 5: layout, outputs, inputs, numbers, rows and threads of a product, config and bytes cut off the end
//   then damage, four bytes each: where it counts from and what is written; place (two bytes); value
#include <cstdlib>
#include <cstring>
#include <memory>

#include "core/api/ops.hpp"
#include "plugins/device_cpu/cpu_device.hpp"
#include "plugins/linear/coded_backend.hpp"
#include "plugins/linear/coded_layout.hpp"
#include "plugins/linear/cpu_candidate.hpp"
#include "plugins/linear/cpu_layouts.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"
#include "plugins/linear/plain_problem.hpp"

using namespace tare;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

// Bytes at an address that is aligned as buffers are, with nothing behind them that may be read.
struct Block {
  explicit Block(int64_t size) : bytes(size), data(nullptr, std::free) {
    void* memory = nullptr;  // of any size, unlike std::aligned_alloc's
    require(posix_memalign(&memory, 64, static_cast<size_t>(size)) == 0);
    data.reset(memory);
    if (size > 0) std::memset(memory, 0x3c, static_cast<size_t>(size));
  }
  std::byte* at(int64_t offset = 0) const { return static_cast<std::byte*>(data.get()) + offset; }
  std::span<std::byte> span() const { return {at(), static_cast<size_t>(bytes)}; }
  int64_t bytes;
  std::unique_ptr<void, decltype(&std::free)> data;
};

struct BuiltIn {
  std::vector<std::unique_ptr<Layout>> layouts;
  std::vector<std::unique_ptr<KernelCandidate>> kernels;
  std::vector<std::unique_ptr<Device>> devices;  // of one thread and of two
};
const BuiltIn& built_in() {
  static const BuiltIn all = [] {
    BuiltIn out;
    out.layouts.push_back(linear::make_rows_layout());
    out.layouts.push_back(linear::make_cpu_tiles_layout());
    out.layouts.push_back(linear::make_w12_layout());
    out.layouts.push_back(linear::make_w11_layout());
    out.layouts.push_back(linear_cuda::make_dense_strips());
    out.layouts.push_back(linear_cuda::make_w12_strips());
    out.layouts.push_back(linear_cuda::make_w11_strips());
    std::vector<std::shared_ptr<const linear::CpuBackend>> backends{
        linear::make_amx_backend(), linear::make_avx512_bf16_backend(), linear::make_highway_backend()};
    for (const std::string_view layout : {linear::kW12, linear::kW11})
      for (const auto make :
           {linear::make_coded_amx_backend, linear::make_coded_avx512_bf16_backend, linear::make_coded_highway_backend})
        backends.push_back(make(layout));
    for (const auto& backend : backends)
      if (backend != nullptr) out.kernels.push_back(linear::make_candidate(backend, linear::Tail::none));
    for (const int32_t threads : {1, 2}) {
      auto device = cpu::make_cpu_provider()->open("cpu", {.threads = threads, .memory_bytes = 0});
      require(device.ok());
      out.devices.push_back(std::move(*device));
    }
    return out;
  }();
  return all;
}

// Numbers of which a code pays (few exponents), pays with escapes, or does not pay.
std::vector<uint16_t> numbers(int64_t count, uint8_t kind) {
  std::vector<uint16_t> out(static_cast<size_t>(count));
  uint64_t state = 0x9e3779b97f4a7c15u ^ (uint64_t{kind} << 32);
  for (uint16_t& v : out) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto random = static_cast<uint16_t>(state >> 33);
    const int exponents = (kind & 3) == 0 ? 3 : (kind & 3) == 1 ? 7 : 15;
    const bool outlier = (kind & 3) == 3 || ((kind & 12) != 0 && (state >> 50) % 300 < (kind >> 2 & 3u));
    v = outlier ? random : static_cast<uint16_t>((random & 0x807f) | (120 - (state >> 52) % exponents) << 7);
  }
  return out;
}

Block laid_out(const Layout& layout, const WeightInfo& info, const std::vector<uint16_t>& plain) {
  auto survey = layout.survey(info);
  require(survey.ok());
  const int64_t rows = info.outputs();
  if (*survey == nullptr) {
    Block out(layout.bytes(info));
    require(layout.encode(info, 0, rows, plain.data(), out.at()).ok());
    return out;
  }
  require((*survey)->look(0, rows, plain.data()).ok());
  auto plan = (*survey)->finish();
  require(plan.ok());
  Block out((*plan)->bytes());
  require((*plan)->encode(0, rows, plain.data(), out.at()).ok());
  return out;
}

void damage(Block& block, const uint8_t* data, size_t size) {
  for (; size >= 4 && block.bytes > 0; data += 4, size -= 4) {
    const int64_t number = data[1] | data[2] << 8;
    int64_t place = number;
    if ((data[0] & 3) == 1) place = block.bytes - 1 - number;
    if ((data[0] & 3) == 2) place = number * block.bytes >> 16;
    if (place < 0 || place >= block.bytes) continue;
    auto* const at = reinterpret_cast<uint8_t*>(block.at(place));
    if ((data[0] & 4) != 0) {
      *at = static_cast<uint8_t>(*at ^ data[3]);
    } else if ((data[0] & 8) != 0 && place % 8 == 0 && place + 8 <= block.bytes) {
      int64_t value;
      std::memcpy(&value, at, 8);
      value += static_cast<int8_t>(data[3]);
      std::memcpy(at, &value, 8);
    } else {
      *at = data[3];
    }
  }
}

void multiply(const KernelCandidate& kernel, Device& device, const WeightView& weight, int64_t rows, uint8_t config) {
  const Problem problem = linear::plain_problem(device, *weight.info, rows);
  if (!kernel.supports(problem)) return;
  const auto read = kernel.layouts(problem, 0, 0);
  if (std::ranges::find(read, weight.layout) == read.end()) return;
  const auto space = kernel.space(problem);
  const KernelConfig chosen = config == 0 || space.empty() ? kernel.fallback(problem) : space[config % space.size()];
  auto instance = kernel.instance(device, problem, chosen);
  require(instance.ok());
  const WeightView weights[] = {weight, {}};
  require((*instance)->bind(weights).ok());
  const int64_t inputs = weight.info->inputs(), outputs = weight.info->outputs();
  const Block x(rows * inputs * 2), y(rows * outputs * 2), scratch(kernel.scratch_bytes(problem, chosen));
  const TensorView in = packed_view(x.at(), DType::bf16, {rows, inputs});
  const TensorView out = packed_view(y.at(), DType::bf16, {rows, outputs});
  auto stream = device.create_stream();
  require(stream.ok());
  const StepView step;
  require((*instance)
              ->launch({.device = device,
                        .stream = **stream,
                        .step = step,
                        .inputs = {&in, 1},
                        .outputs = {&out, 1},
                        .weights = weights,
                        .state = nullptr,
                        .scratch = scratch.span()})
              .ok());
  require((*stream)->synchronize().ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 6) return 0;
  const BuiltIn& all = built_in();
  const size_t which = data[0] % all.layouts.size();
  const Layout& layout = *all.layouts[which];
  int64_t outputs = 1 + data[1] % 200, inputs = 1 + data[2];
  if (which >= 4) outputs = (outputs + 15) / 16 * 16, inputs = (inputs + 63) / 64 * 64;  // records, else: no
  const WeightInfo info{"w", DType::bf16, {outputs, inputs}, 1};
  require(bool(layout.supports(info)));
  Block block = laid_out(layout, info, numbers(outputs * inputs, data[3]));
  require(bool(layout.check(info, block.span())));
  damage(block, data + 6, size - 6);
  if (data[5] >= 128) {  // cut off
    Block shorter(std::max<int64_t>(0, block.bytes - (data[5] - 127)));
    std::memcpy(shorter.at(), block.at(), static_cast<size_t>(shorter.bytes));
    block = std::move(shorter);
  }
  const Verdict safe = layout.check(info, block.span());
  if (!safe) return 0;

  const int64_t row = inputs * 2;
  const Block together(outputs * row), alone(row);
  require(layout.decode(info, 0, outputs, block.at(), together.at()).ok());
  for (int64_t r = 0; r < outputs; r += 1 + r / 4) {
    require(layout.decode(info, r, r + 1, block.at(), alone.at()).ok());
    require(std::memcmp(alone.at(), together.at(r * row), static_cast<size_t>(row)) == 0);
  }
  const WeightView weight{.data = block.at(),
                          .bytes = block.bytes,
                          .layout = layout.id(),
                          .info = &info,
                          .decoder = &layout,
                          .head = nullptr};
  const int64_t rows[] = {1, 2, 5, 9, 18, 33, 70, 3};
  for (const auto& kernel : all.kernels)
    multiply(*kernel, *all.devices[data[4] >> 3 & 1], weight, rows[data[4] & 7], data[5] & 127);
  return 0;
}
