// The AVX2 versions of scan.hpp's passes. They take as many whole groups of elements as there are and say how far they
// got; the plain loops do the rest. On other CPUs has_avx2() is false and the rest is all. [any thread]
#pragma once
#include "plugins/sampling/scan.hpp"

namespace tare::sampling {

bool has_avx2() noexcept;

// Adds the weights that `cut` leaves of x[0..result) to `total`.
size_t sum_weights_avx2(std::span<const float> x, int32_t first_id, Scale scale, const Cut& cut,
                        uint64_t& total) noexcept;
// Weights and halvings of x[0..result).
size_t weigh_avx2(std::span<const float> x, Scale scale, float* halvings, uint64_t* weights) noexcept;

}  // namespace tare::sampling
