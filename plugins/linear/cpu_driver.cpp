#include "plugins/linear/cpu_driver.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "core/api/cpu_kernel.hpp"
#include "plugins/linear/cpu_layouts.hpp"
#include "plugins/linear/cpu_tiles.hpp"

namespace tare::linear {
namespace {

// One stacked product, or gate and up together: what shares a range of strips.
struct Part {
  const WeightView* weight = nullptr;
  const WeightView* bias = nullptr;  // or null
  const WeightView* second_weight = nullptr;
  const WeightView* second_bias = nullptr;
  const TensorView* out = nullptr;
  int64_t outputs = 0, strips = 0, first_group = 0;
};

// Bias numbers of one strip as F32, with zeros behind the last.
const float* bias_of(const WeightView* bias, int64_t first, int64_t count, float* buffer) {
  if (bias == nullptr) return nullptr;
  const auto plain = packed_view(
      const_cast<std::byte*>(static_cast<const std::byte*>(bias->data)) + first * size_of(bias->info->dtype),
      bias->info->dtype, {1, count});
  std::fill_n(buffer, kStripOutputs, 0.0f);
  load_row(plain, 0, {buffer, static_cast<size_t>(count)});
  return buffer;
}

class Driver final : public Instance {
 public:
  Driver(DriverParts parts, CpuParallel& parallel) : p_(std::move(parts)), parallel_(parallel) {}

  Status launch(const Launch& launch) noexcept override {
    TARE_RETURN_IF_ERROR(check(launch));
    const int64_t rows = launch.inputs[0].rows();
    if (rows == 0) return {};
    const Work work = plan(launch, rows);
    // Threads take items as they become free: a core that others disturb too delays nobody.
    const int64_t workers = std::clamp<int64_t>(work.items / work.grain, 1, parallel_.threads());
    const int64_t batch = std::max<int64_t>(1, work.items / (workers * 8));
    std::atomic<int64_t> next = 0;
    parallel_.run(workers, 1, [&](int64_t, int64_t, int32_t) {
      alignas(64) float sums[kMostSums];
      for (int64_t item; (item = next.fetch_add(batch, std::memory_order_relaxed)) < work.items;)
        for (int64_t i = item; i < std::min(item + batch, work.items); ++i) run_item(launch, work, i, sums);
    });
    return {};
  }

 private:
  struct Work {
    Part parts[16];
    int64_t num_parts = 0;
    Activations x;
    int64_t rows = 0, rows_per_block = 0, row_blocks = 0, strips_per_group = 1, items = 0, grain = 1;
  };

  Status check(const Launch& launch) const {
    const LinearShape& s = p_.shape;
    const auto wrong = [](const auto&... what) { return failure(Code::internal, "linear: ", what...); };
    const size_t outputs = s.tail == Tail::none ? s.products.size() : 1;
    if (launch.inputs.size() != (s.tail == Tail::add ? 2u : 1u) || launch.outputs.size() != outputs ||
        launch.weights.size() < 2 * s.products.size())
      return wrong("launched with ", launch.inputs.size(), " inputs, ", launch.outputs.size(), " outputs and ",
                   launch.weights.size(), " weights");
    const TensorView& x = launch.inputs[0];
    if (x.row_elements() != s.inputs || x.dtype != s.x)
      return wrong("x is ", to_string(x), ", expected ", name(s.x), " rows of ", s.inputs);
    for (size_t i = 0; i < outputs; ++i)
      if (const TensorView& out = launch.outputs[i];
          out.rows() != x.rows() || out.row_elements() != s.products[i].outputs || out.dtype != s.out)
        return wrong("result ", i, " is ", to_string(out), ", expected ", name(s.out), " [", x.rows(), ", ",
                     s.products[i].outputs, "]");
    if (s.tail == Tail::add &&
        (launch.inputs[1].rows() != x.rows() || launch.inputs[1].row_elements() != s.products[0].outputs))
      return wrong("the addend is ", to_string(launch.inputs[1]));
    for (size_t i = 0; i < s.products.size(); ++i) {
      const WeightView &weight = launch.weights[2 * i], &bias = launch.weights[2 * i + 1];
      if (weight.data == nullptr || weight.layout != p_.multiplier->layout())
        return wrong("weight ", 2 * i, " lies in '", weight.layout, "', expected ", p_.multiplier->layout());
      if (s.products[i].bias && (bias.data == nullptr || bias.layout != kRows))
        return wrong("bias ", 2 * i + 1, " lies in '", bias.layout, "', expected ", kRows);
    }
    if (!p_.multiplier->reads_in_place(x, s.inputs))
      if (const int64_t need = driver_scratch_bytes(*p_.multiplier, x.rows(), s.inputs);
          static_cast<int64_t>(launch.scratch.size()) < need)
        return wrong("scratch has ", launch.scratch.size(), " bytes, ", x.rows(), " rows need ", need);
    return {};
  }

  Work plan(const Launch& launch, int64_t rows) const {
    const LinearShape& s = p_.shape;
    Work w;
    w.rows = rows;
    const int64_t granule = p_.multiplier->row_granule();
    // Few rows: their sums are small, so the strips of a group may be as many as fit.
    w.rows_per_block = std::min(round_up(rows, granule), std::max(granule, p_.config.rows / granule * granule));
    w.strips_per_group = p_.config.strips;
    const auto add_part = [&](size_t i, size_t second) {
      Part& part = w.parts[w.num_parts++];
      const auto bias = [&](size_t product) {
        return s.products[product].bias ? &launch.weights[2 * product + 1] : nullptr;
      };
      part.weight = &launch.weights[2 * i], part.bias = bias(i);
      if (second != i) part.second_weight = &launch.weights[2 * second], part.second_bias = bias(second);
      part.out = &launch.outputs[s.tail == Tail::none ? i : 0];
      part.outputs = s.products[i].outputs, part.strips = num_strips(part.outputs);
    };
    if (s.tail == Tail::gated)
      add_part(s.swapped ? 1 : 0, s.swapped ? 0 : 1);
    else
      for (size_t i = 0; i < s.products.size(); ++i) add_part(i, i);

    int64_t strips = 0, groups = 0;
    for (int64_t i = 0; i < w.num_parts; ++i) strips += w.parts[i].strips;
    // Every thread should find a group, and the last one should not wait long for its neighbours.
    w.strips_per_group = std::clamp<int64_t>(strips / (2 * parallel_.threads()), 1, w.strips_per_group);
    for (int64_t i = 0; i < w.num_parts; ++i) {
      w.parts[i].first_group = groups;
      groups += divide_up(w.parts[i].strips, w.strips_per_group);
    }
    w.row_blocks = divide_up(rows, w.rows_per_block);
    if (groups * w.row_blocks < parallel_.threads() && rows > 2 * granule && groups > 0) {
      const int64_t wanted = divide_up(parallel_.threads(), groups);
      w.rows_per_block = std::max(granule, round_up(divide_up(rows, wanted), granule));
      w.row_blocks = divide_up(rows, w.rows_per_block);
    }
    w.items = groups * w.row_blocks;
    // Waking a thread is worth about 64 KiB of weights, or the arithmetic that takes as long.
    const int64_t cost = w.strips_per_group * kStripOutputs * s.inputs * std::max<int64_t>(4, w.rows_per_block / 8);
    w.grain = std::max<int64_t>(1, 262144 / std::max<int64_t>(1, cost));
    pack(launch, w);
    return w;
  }

  void pack(const Launch& launch, Work& w) const {
    const TensorView& x = launch.inputs[0];
    const int64_t inputs = p_.shape.inputs;
    if (p_.multiplier->reads_in_place(x, inputs)) {
      w.x = {x.data, x.row_stride};
      return;
    }
    const auto at = reinterpret_cast<uintptr_t>(launch.scratch.data());
    std::byte* const packed = launch.scratch.data() + ((at + 63) / 64 * 64 - at);
    w.x = {packed, p_.multiplier->packed_stride(w.rows, inputs)};
    const int64_t granule = p_.multiplier->row_granule(), blocks = divide_up(w.rows, granule);
    const int64_t grain = std::max<int64_t>(1, 131072 / std::max<int64_t>(1, granule * inputs));
    parallel_.run(blocks, grain, [&](int64_t begin, int64_t end, int32_t) {
      p_.multiplier->pack(x, inputs, begin * granule, std::min(end * granule, w.rows), packed);
    });
  }

  void run_item(const Launch& launch, const Work& w, int64_t item, float* sums) const {
    const int64_t group = item / w.row_blocks, row_block = item % w.row_blocks;
    int64_t i = w.num_parts - 1;
    while (w.parts[i].first_group > group) --i;
    const Part& part = w.parts[i];
    const int64_t strip = (group - part.first_group) * w.strips_per_group;

    MultiplyBlock block;
    block.strips = std::min(w.strips_per_group, part.strips - strip);
    block.inputs = p_.shape.inputs;
    block.strip_bytes = p_.shape.weight == DType::f32 ? strip_bytes_f32(block.inputs) : strip_bytes_bf16(block.inputs);
    block.first_strip = strip;
    const auto read_from = [&](const WeightView& weight) {
      block.matrix = static_cast<const std::byte*>(weight.data);
      block.weights = block.matrix + strip * block.strip_bytes;
    };
    read_from(*part.weight);
    block.x = w.x;
    block.row_begin = row_block * w.rows_per_block;
    block.rows = std::min(w.rows_per_block, w.rows - block.row_begin);
    block.sums = sums;
    block.prefetch = p_.config.prefetch, block.k_block = p_.config.k_block;
    const int64_t sums_per_strip = round_up(block.rows, 16) * kStripOutputs;
    p_.multiplier->multiply(block);
    float* const second_sums = part.second_weight == nullptr ? nullptr : sums + block.strips * sums_per_strip;
    if (second_sums != nullptr) {
      read_from(*part.second_weight);
      block.sums = second_sums;
      p_.multiplier->multiply(block);
    }
    for (int64_t s = 0; s < block.strips; ++s)
      finish(launch, part, strip + s, block, sums + s * sums_per_strip,
             second_sums == nullptr ? nullptr : second_sums + s * sums_per_strip);
  }

  void finish(const Launch& launch, const Part& part, int64_t strip, const MultiplyBlock& block, const float* sums,
              const float* second_sums) const {
    const LinearShape& s = p_.shape;
    const int64_t first = strip * kStripOutputs;
    alignas(64) float bias[kStripOutputs], second_bias[kStripOutputs];
    Finish f;
    f.tail = s.tail, f.result = s.products[0].result, f.out_dtype = s.out;
    f.rows = block.rows, f.outputs = std::min<int64_t>(kStripOutputs, part.outputs - first);
    f.sums = sums, f.second_sums = second_sums;
    f.bias = bias_of(part.bias, first, f.outputs, bias);
    f.second_bias = bias_of(part.second_bias, first, f.outputs, second_bias);
    f.out = static_cast<std::byte*>(part.out->data) +
            (block.row_begin * part.out->row_stride + first) * size_of(part.out->dtype);
    f.out_stride = part.out->row_stride;
    if (s.tail == Tail::add) {
      const TensorView& residual = launch.inputs[1];
      f.residual_dtype = residual.dtype, f.residual_stride = residual.row_stride;
      f.residual = static_cast<const std::byte*>(residual.data) +
                   (block.row_begin * residual.row_stride + first) * size_of(residual.dtype);
    }
    f.activation = s.activation;
    if (p_.table != nullptr) f.table = p_.table->values();
    p_.finish(f);
  }

  const DriverParts p_;
  CpuParallel& parallel_;
};

}  // namespace

Verdict fits_driver(const CpuConfig& config, Tail tail) noexcept {
  const int64_t most = kMostSums / kStripOutputs / (tail == Tail::gated ? 2 : 1);
  if (config.prefetch < 0 || config.prefetch > (1 << 20))
    return Verdict::no("prefetch is ", config.prefetch, ", expected 0 to 1048576 bytes");
  if (config.k_block < 0 || config.k_block % kChunkInputs != 0)
    return Verdict::no("k_block is ", config.k_block, ", expected 0 or a multiple of ", kChunkInputs);
  if (config.rows < 32 || config.rows % 32 != 0 || config.rows > most)
    return Verdict::no("rows is ", config.rows, ", expected a multiple of 32 up to ", most);
  if (config.strips < 1 || config.strips > most || config.strips * config.rows > most)
    return Verdict::no("strips is ", config.strips, " with ", config.rows, " rows, expected at most ", most,
                       " as their product");
  return Verdict::yes();
}

int64_t driver_scratch_bytes(const Multiplier& multiplier, int64_t rows, int64_t inputs) noexcept {
  return multiplier.packed_bytes(rows, inputs) + 64;
}

Result<std::unique_ptr<Instance>> make_driver(Device& device, DriverParts parts) {
  auto* parallel = static_cast<CpuParallel*>(device.query(CpuParallel::kInterface));
  if (parallel == nullptr)
    return failure(Code::unsupported, "linear: device ", device.info().id, " has no cpu_parallel/1");
  return std::unique_ptr<Instance>(std::make_unique<Driver>(std::move(parts), *parallel));
}

}  // namespace tare::linear
