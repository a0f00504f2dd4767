// What the sampling kernels take. Included by host code and by kernels; holds no CUDA.
#pragma once
#include <cstdint>

namespace tare::sampling {

// ids[row] = position of the largest of `columns` logits, ties to the lower id; -1 for a row that the host must look
// at: with NaN or +inf in it, or with nothing but -inf. grid: rows, 1024 threads.
struct ArgmaxConfig {
  bool f32 = true;  // logits in float, else in bf16
};
struct ArgmaxArguments {
  const void* logits;
  int32_t* ids;
  int64_t columns, stride;
};

}  // namespace tare::sampling
