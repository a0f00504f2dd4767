// The formulas of Activation, in f32, in one place: an activation gives the same bits wherever it is computed, alone or
// fused behind a product. Sources: GELU's erf form and its tanh form, Hendrycks and Gimpel, arXiv 1606.08415; SiLU,
// x·sigmoid(x), Elfwing et al., arXiv 1702.03118. Compile users without FMA contraction. [any thread]
#pragma once
#include <cmath>

#include "core/api/ops.hpp"

namespace tare {

inline float activated(float x, Activation activation) noexcept {
  switch (activation) {
    case Activation::silu:
      return x / (1.0f + std::exp(-x));
    case Activation::gelu:
      return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
    case Activation::gelu_tanh:
      return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case Activation::relu:
      return x > 0 ? x : 0.0f;
    case Activation::none:
      break;
  }
  return x;
}

}  // namespace tare
