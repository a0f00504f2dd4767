// cuBLAS and cuBLASLt, opened at run time: the baseline of every measurement, and a candidate where no order of the K
// sum is promised. Serving works without them. One thread at a time.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/api/status.hpp"

namespace tare::cuda {

// output[tokens][rows] = activations[tokens][columns] * weights[rows][columns]^T, all bf16 row-major, float
// accumulators.
struct GemmShape {
  int32_t tokens = 0, rows = 0, columns = 0;
};

class VendorGemm {
 public:
  // not_found lists the folders that were looked into. The calling thread's current context is used, workspace is
  // device memory.
  static Result<std::unique_ptr<VendorGemm>> open(const std::vector<std::string>& folders, void* workspace,
                                                  size_t workspace_bytes);
  virtual ~VendorGemm() = default;

  // Ways to compute `shape`: number 0 is cuBLAS's own choice, then up to `most` of cuBLASLt's heuristics, best guess
  // first.
  virtual Result<int> prepare(const GemmShape& shape, int most) = 0;
  // Runs way `which` of the shape prepared last for these numbers. stream: the driver's handle. [graph-capturable]
  virtual Status run(const GemmShape& shape, int which, void* stream, const void* weights, const void* activations,
                     void* output) = 0;
  virtual const std::string& found_at() const noexcept = 0;
};

}  // namespace tare::cuda
