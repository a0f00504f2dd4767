// What this folder offers the registry for "cuda": the fused products, the product of any shape, the row gather.
// [loader]
#pragma once
#include <memory>

#include "core/api/kernel.hpp"
#include "jit/jit.hpp"
#include "plugins/linear/cuda/problem.hpp"

namespace tare::linear_cuda {

// "linear.cuda": straight out of records ("w12/cuda-strips", "dense/cuda-strips") by the kernels of the catalogue, any
// number of rows under one order of sums. The jit outlives it and knows linear_bundle().
// With a tail ("linear.cuda+add", "linear.cuda+gated") the chain's last product carries it as its epilogue, with the
// bits of the separate operations.
std::unique_ptr<KernelCandidate> make_fused_candidate(jit::Jit& jit, Tail tail = Tail::none);
// "linear.cuda_reference": plain rows of any size, bf16 and f32.
std::unique_ptr<KernelCandidate> make_reference_candidate(jit::Jit& jit);
// "embed.cuda": rows of an embedding, plain or out of records.
std::unique_ptr<KernelCandidate> make_embed_candidate(jit::Jit& jit);

// Of the sources that kernels are compiled from.
const std::string& sources_hash();

}  // namespace tare::linear_cuda
