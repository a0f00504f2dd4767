// Numbers to measure and to check kernels with: matrices as training leaves them, so that codes find the entropy that
// they were made for, with the outliers that they have to escape; and activations with a few loud channels. Equal
// arguments give equal numbers. Pure, [any thread].
#pragma once
#include <cstdint>

#include "core/api/dtype.hpp"

namespace tare {

// Rows [row_begin, row_end) of a matrix with `inputs` columns, packed, as bf16, f16 or f32. Gaussian rows of log-normal
// scale: about 2.66 bits of exponent entropy; one number in 4,096 is far outside (2^-40 to 2^12 times), a zero of
// either sign or subnormal.
void fill_trained_like(DType dtype, int64_t row_begin, int64_t row_end, int64_t inputs, uint64_t seed, void* out);
// `rows` rows of `width` numbers around 1; every 97th channel is 30 times as loud.
void fill_activations(DType dtype, int64_t rows, int64_t width, uint64_t seed, void* out);

}  // namespace tare
