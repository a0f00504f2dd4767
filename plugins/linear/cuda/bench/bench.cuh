// Test data and checks on the device: trained-like weights, activations, comparison of outputs, a reference in double
// precision. Every number is a pure function of (seed, index), so that data is the same on every machine.
#pragma once
#include "jit/cuh/bf16.cuh"
#include "jit/cuh/warp.cuh"

namespace tare::linear_cuda {

__device__ __forceinline__ uint32_t mix(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdull;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ull;
  x ^= x >> 33;
  return static_cast<uint32_t>(x);
}

// Box-Muller over two counter-based uniforms.
__device__ __forceinline__ float gaussian(uint64_t index, uint64_t seed) {
  const float u = (mix(2 * index + seed * 7919000003ull) + 0.5f) * (1.f / 4294967296.f);
  const float v = (mix(2 * index + 1 + seed * 104729000017ull) + 0.5f) * (1.f / 4294967296.f);
  return sqrtf(-2.f * logf(u)) * cospif(2.f * v);
}

enum class WeightKind : int32_t {
  kGaussian = 0,     // sigma 0.02
  kTrained = 1,      // rows scaled lognormally (0.33), one weight in 10,000 twelve times larger
  kClustered = 2,    // kTrained, and in one 64-row block of 8 four weights in 1,000 far below the window
  kAdversarial = 3,  // kTrained, sprinkled with zeros, signed zeros and subnormals
};

__global__ void fill_weights(uint16_t* weights, int64_t rows, int64_t columns, int32_t kind, uint64_t seed) {
  const int64_t count = rows * columns, stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    float x = 0.02f * gaussian(i, seed);
    uint16_t bits = 0;
    bool special = false;
    if (kind != static_cast<int32_t>(WeightKind::kGaussian)) {
      const int64_t row = i / columns;
      x *= expf(0.33f * gaussian(row, seed + 777));
      const uint32_t h = mix(3 * i + seed * 31 + 5);
      if (h < 429497u) x *= 12.f;
      if (kind == static_cast<int32_t>(WeightKind::kClustered) && row / 64 % 8 == 3 && (h >> 8) % 250 == 7)
        x *= 6.1e-5f;
      if (kind == static_cast<int32_t>(WeightKind::kAdversarial) && (h >> 8) % 500 < 4) {
        special = true;
        bits = (h >> 8) % 500 == 0   ? 0
               : (h >> 8) % 500 == 1 ? 0x8000
               : (h >> 8) % 500 == 2 ? h & 0x807f
                                     : (h & 0x8000) | 0x0080;
      }
    }
    weights[i] = special ? bits : device::float_to_bf16(x);
  }
}

__global__ void fill_activations(uint16_t* activations, int64_t count, uint64_t seed) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    activations[i] = device::float_to_bf16(gaussian(i, seed));
  }
}

// counter += how many of the `count` 16-bit values differ
__global__ void count_differences(const uint16_t* a, const uint16_t* b, int64_t count, uint64_t* counter) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  uint32_t mine = 0;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) mine += a[i] != b[i];
  mine = __reduce_add_sync(device::kAllLanes, mine);
  if (threadIdx.x % 32 == 0 && mine != 0)
    atomicAdd(reinterpret_cast<unsigned long long*>(counter), static_cast<unsigned long long>(mine));
}

// One warp a sample: sums[0] += (output - exact)^2, sums[1] += exact^2, over `samples` (token, row) pairs drawn by
// index.
__global__ void sample_errors(const uint16_t* weights, const uint16_t* activations, const uint16_t* output,
                              int32_t tokens, int32_t rows, int32_t columns, int32_t samples, double* sums) {
  const int sample = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
  if (sample >= samples) return;
  const int64_t token = mix(2 * sample + 17) % tokens, row = mix(2 * sample + 18) % rows;
  double exact = 0;
  for (int k = lane; k < columns; k += 32) {
    exact += static_cast<double>(device::bf16_to_float(weights[row * columns + k])) *
             static_cast<double>(device::bf16_to_float(activations[token * columns + k]));
  }
  for (int distance = 16; distance > 0; distance >>= 1) exact += __shfl_xor_sync(device::kAllLanes, exact, distance);
  if (lane == 0) {
    const double error = static_cast<double>(device::bf16_to_float(output[token * rows + row])) - exact;
    atomicAdd(sums, error * error);
    atomicAdd(sums + 1, exact * exact);
  }
}

// stamps[2 * multiprocessor] = {its clock, nanoseconds}: two of these around some work tell how fast the clock ran.
// One block a multiprocessor.
__global__ void stamp(uint64_t* stamps) {
  uint32_t where;
  uint64_t clock, nanoseconds;
  asm volatile("mov.u32 %0, %%smid;" : "=r"(where));
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(clock));
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(nanoseconds));
  stamps[2 * where] = clock;
  stamps[2 * where + 1] = nanoseconds;
}

// Reads `count` 16-byte words and nothing else: the bandwidth that a kernel could reach.
__global__ __launch_bounds__(512) void read_all(const uint4* words, int64_t count, uint32_t* sink) {
  const int64_t stride = int64_t{gridDim.x} * blockDim.x;
  uint32_t all = 0;
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  for (; i + 3 * stride < count; i += 4 * stride) {
    const uint4 a = __ldg(words + i), b = __ldg(words + i + stride), c = __ldg(words + i + 2 * stride),
                d = __ldg(words + i + 3 * stride);
    all ^= a.x ^ a.y ^ a.z ^ a.w ^ b.x ^ b.y ^ b.z ^ b.w ^ c.x ^ c.y ^ c.z ^ c.w ^ d.x ^ d.y ^ d.z ^ d.w;
  }
  if (all == 0x12345678u) *sink = all;
}

}  // namespace tare::linear_cuda
