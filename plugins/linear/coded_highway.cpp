// linear.cpu_w12_highway and linear.cpu_w11_highway: any CPU, sums as in linear.cpu_highway.
#include "core/api/cpu_targets.hpp"
#include "plugins/linear/coded_backend.hpp"
#include "plugins/linear/coded_highway_multiply.hpp"

namespace tare::linear {
namespace {

class CodedHighwayMultiplier final : public CodedMultiplier {
 public:
  CodedHighwayMultiplier(std::string_view layout, std::unique_ptr<Multiplier> dense, CpuTarget target)
      : CodedMultiplier(layout, std::move(dense)), function_(coded_highway_function(target)) {}

 private:
  void multiply_coded(const CodedMatrix& matrix, const MultiplyBlock& block) const noexcept override {
    function_(matrix, block);
  }
  CodedMultiplyFunction function_;
};

class CodedHighwayBackend final : public CodedBackend {
 public:
  using CodedBackend::CodedBackend;
  CpuConfig fallback(const LinearShape&, int64_t rows) const noexcept override {
    return {.prefetch = 2048, .strips = rows <= 64 ? 4 : 1, .rows = rows <= 64 ? 64 : 192, .k_block = 0};
  }
  std::vector<CpuConfig> space(const LinearShape&, int64_t rows) const override {
    std::vector<CpuConfig> out;
    const int64_t block = rows <= 64 ? 64 : 192;
    for (const int64_t prefetch : {0, 512, 1024, 2048, 3072, 4096})
      for (const int64_t strips : {1, 4}) out.push_back({prefetch, strips, block, 0});
    if (rows > 1)
      for (const int64_t k_block : {64, 128, 512}) out.push_back({2048, 1, block, k_block});
    return out;
  }
  std::unique_ptr<Multiplier> multiplier(const Problem& problem, CpuTarget target) const override {
    const CpuTarget chosen = target == CpuTarget::best ? best_cpu_target(problem.features) : target;
    return std::make_unique<CodedHighwayMultiplier>(layout(), dense().multiplier(problem, chosen), chosen);
  }
};

}  // namespace

std::shared_ptr<const CpuBackend> make_coded_highway_backend(std::string_view layout) {
  return std::make_shared<CodedHighwayBackend>(layout, make_highway_backend());
}

}  // namespace tare::linear
