// ProblemBench: one problem on a device with everything that a launch needs: weights in one layout, as many copies as
// no cache holds, activations, room for results. Any candidate that reads the layout runs on it. It knows nothing of
// kernels but their interface, and nothing of the device but Device's. [one thread]
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "autotune/linear_lab.hpp"
#include "core/registry/registry.hpp"

namespace tare {

// Device memory that benches hand on, grown when one needs more: the pages are touched once.
struct BenchMemory {
  std::unique_ptr<Buffer> weights, inputs, outputs, scratch;
  // Of the device: numbers are made and compared there. Null: on the host.
  DeviceData* data = nullptr;
};
// What one launch wrote, [result][row]; what it left out is 0x77. In host memory, or where the device has it.
struct BenchResults {
  std::vector<std::vector<std::byte>> host;
  std::unique_ptr<Buffer> device;
  std::vector<int64_t> offsets;  // of results in `device`
};

// One weight with numbers as trained ones are, as it lies in `layout`, in host memory.
Result<std::vector<std::byte>> laid_like_trained(const WeightInfo& info, const Layout& layout, uint64_t seed,
                                                 Device& device, Stream& stream);

class ProblemBench {
 public:
  // `cold_bytes`: what the copies of the weights must exceed; 0: one copy. As many fit when the device has less.
  // `most_rows`: of any launch. The registry, the problem's tables and `memory` outlive the bench; two benches that are
  // in use at a time have memories of their own.
  static Result<std::unique_ptr<ProblemBench>> create(Device& device, const Registry& registry, const Problem& problem,
                                                      std::string_view layout, int64_t most_rows, int64_t cold_bytes,
                                                      BenchMemory& memory);
  // A kernel with its config, made for a bucket and bound to the weights: an instance a copy.
  struct Prepared {
    std::vector<std::unique_ptr<Instance>> instances;
    int64_t scratch_bytes = 0;
  };
  Result<Prepared> prepare(const KernelCandidate& kernel, const KernelConfig& config, int64_t bucket_rows);
  // Binds all of them once, on all cores, and lets them go: what they compile is then known. A failure is left to
  // prepare().
  struct Wanted {
    const KernelCandidate* kernel = nullptr;
    const KernelConfig* config = nullptr;
    int64_t bucket_rows = 1;
  };
  void warm(std::span<const Wanted> wanted) const;
  // Puts one launch on the stream, with the weights that were read longest ago; `first_row` of the activations is its
  // first.
  Status launch(const Prepared& prepared, int64_t rows, int64_t first_row = 0);
  // Of one launch that is waited for.
  Result<BenchResults> results(const Prepared& prepared, int64_t rows, int64_t first_row = 0);
  // The first difference between what a launch gives and rows [first_of_expected, + rows) of `expected`, in words;
  // empty: none.
  Result<std::string> difference(const Prepared& prepared, int64_t rows, int64_t first_row,
                                 const BenchResults& expected, int64_t first_of_expected);
  // For a second opinion: scratch is allocated anew by the next prepare(), and launches go on half a turn further in
  // the copies of the weights. What was prepared before must not be launched any more.
  void refresh() noexcept;
  Stream& stream() noexcept { return *stream_; }
  const Problem& problem() const noexcept { return problem_; }
  int64_t weight_bytes() const noexcept { return matrix_bytes_; }  // of matrices, as they lie, that a launch reads
  int64_t activation_bytes(int64_t rows) const noexcept;
  double flops(int64_t rows) const noexcept { return flops_per_row_ * static_cast<double>(rows); }
  int64_t copies() const noexcept { return static_cast<int64_t>(copies_.size()); }

 private:
  struct Part {  // a tensor of the launch
    TensorInfo info;
    int64_t offset = 0, row_bytes = 0;
  };
  ProblemBench(Device& device, const Registry& registry, const Problem& problem, BenchMemory& memory)
      : device_(device), registry_(registry), problem_(problem), memory_(memory) {}
  struct Weight;  // as it lies, or as it will
  Result<Weight> lay(const WeightInfo& info, std::string_view layout, bool matrix, uint64_t seed);
  Status lay_weights(std::string_view layout, int64_t cold_bytes);
  Status put(const Prepared& prepared, int64_t rows, int64_t first_row, std::byte* outputs,
             std::span<const int64_t> offsets);
  Status lay_tensors(int64_t most_rows);
  TensorView view(const Part& part, std::byte* base, int64_t rows, int64_t first_row) const;

  Device& device_;
  const Registry& registry_;
  const Problem problem_;
  BenchMemory& memory_;
  std::unique_ptr<Stream> stream_;
  std::vector<std::vector<std::byte>> heads_;    // of the weights, on the host
  std::vector<std::vector<WeightView>> copies_;  // by copy
  std::vector<std::unique_ptr<Buffer>> coded_;   // weights that the device laid out itself
  std::vector<Part> inputs_, results_;
  size_t next_ = 0;
  int64_t matrix_bytes_ = 0, most_rows_ = 0;
  double flops_per_row_ = 0;
};

}  // namespace tare
