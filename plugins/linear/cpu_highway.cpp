// linear.cpu_highway: any CPU, BF16 or F32 weights, BF16 or F32 activations, sums in order of K with one multiply-add
// each. The same bits as the reference wherever the CPU has FMA.
#include <cstring>

#include "core/api/cpu_kernel.hpp"
#include "plugins/linear/cpu_candidate.hpp"
#include "plugins/linear/cpu_highway_multiply.hpp"
#include "plugins/linear/cpu_tiles.hpp"

namespace tare::linear {
namespace {

class HighwayMultiplier final : public Multiplier {
 public:
  HighwayMultiplier(CpuTarget target, DType weight) : functions_(highway_functions(target)), weight_(weight) {}
  int64_t packed_bytes(int64_t rows, int64_t inputs) const noexcept override {
    return rows * packed_stride(rows, inputs) * 4;
  }
  bool reads_in_place(const TensorView& x, int64_t inputs) const noexcept override {
    return x.dtype == DType::f32 && inputs == packed_stride(0, inputs);
  }
  int64_t packed_stride(int64_t, int64_t inputs) const noexcept override {
    return weight_ == DType::f32 ? inputs : num_chunks(inputs) * kChunkInputs;
  }
  void pack(const TensorView& x, int64_t inputs, int64_t row_begin, int64_t row_end,
            std::byte* packed) const noexcept override {
    const int64_t stride = packed_stride(0, inputs);
    for (int64_t r = row_begin; r < row_end; ++r) {
      float* const to = reinterpret_cast<float*>(packed) + r * stride;
      load_row(x, r, {to, static_cast<size_t>(inputs)});
      std::fill(to + inputs, to + stride, 0.0f);
    }
  }
  void multiply(const MultiplyBlock& block) const noexcept override {
    (weight_ == DType::f32 ? functions_.f32_weights : functions_.bf16_weights)(block);
  }

 private:
  HighwayFunctions functions_;
  DType weight_;
};

class HighwayBackend final : public CpuBackend {
 public:
  std::string_view id() const noexcept override { return "linear.cpu_highway"; }
  Verdict supports(const Problem&, const LinearShape&) const noexcept override { return Verdict::yes(); }
  std::string numerics(const Problem& problem) const override {
    return has_fma(best_cpu_target(problem.features)) ? "k-seq-fma" : "k-seq-mul-add";
  }
  CpuConfig fallback(const LinearShape&, int64_t rows) const noexcept override {
    return {.prefetch = 4096, .strips = rows <= 64 ? 4 : 1, .rows = rows <= 64 ? 64 : 192, .k_block = 0};
  }
  std::vector<CpuConfig> space(const LinearShape&, int64_t rows) const override {
    std::vector<CpuConfig> out;
    const int64_t block = rows <= 64 ? 64 : 192;
    for (const int64_t prefetch : {0, 256, 512, 1024, 2048, 4096})
      for (const int64_t strips : {1, 4}) out.push_back({prefetch, strips, block, 0});
    return out;
  }
  std::unique_ptr<Multiplier> multiplier(const Problem& problem, CpuTarget target) const override {
    const DType weight = problem.first().weights.at(0)->dtype;
    return std::make_unique<HighwayMultiplier>(target == CpuTarget::best ? best_cpu_target(problem.features) : target,
                                               weight);
  }
  bool chooses_target() const noexcept override { return true; }
};

}  // namespace

std::shared_ptr<const CpuBackend> make_highway_backend() { return std::make_shared<HighwayBackend>(); }

}  // namespace tare::linear
