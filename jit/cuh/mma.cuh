// Warp-level matrix instructions on bf16 with float accumulators (sm_80 and up). [device; whole warp]
// Fragments of m16n8k16: lane = 4*g + t. A: a0 rows g, a1 rows g+8, columns 2t, 2t+1; a2, a3 the same 8 columns on.
// Accumulators: {row g: n = 2t, 2t+1; row g+8: n = 2t, 2t+1}.
#pragma once
#include <cstdint>

namespace tare::device {

__device__ __forceinline__ void mma_m16n8k16(float* accumulator, const uint32_t* a, uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(accumulator[0]), "+f"(accumulator[1]), "+f"(accumulator[2]), "+f"(accumulator[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8x8 matrices; lane l gives the address of row l%8 of matrix l/8.
__device__ __forceinline__ void load_matrix_x4(uint32_t* r, uint32_t row_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row_address)
               : "memory");
}

__device__ __forceinline__ uint32_t transpose_8x8(uint32_t fragment) {
  uint32_t transposed;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(transposed) : "r"(fragment));
  return transposed;
}

__device__ __forceinline__ void store_matrix_x4_transposed(uint32_t row_address, uint32_t r0, uint32_t r1, uint32_t r2,
                                                           uint32_t r3) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(row_address), "r"(r0),
               "r"(r1), "r"(r2), "r"(r3)
               : "memory");
}

}  // namespace tare::device
