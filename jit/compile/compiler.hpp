// One compilation by NVRTC, and what the assembler's report says. compile_kernel is [any thread].
#pragma once
#include <string>
#include <vector>

#include "jit/compile/nvrtc.hpp"
#include "jit/jit.hpp"

namespace tare::jit {

// The options that every kernel is compiled with, the architecture's included: part of the cache key.
std::vector<std::string> compile_options(const std::string& architecture);

// invalid: the source does not compile; the message holds the expression and the compiler's errors, each with file and
// line.
Result<CompiledKernel> compile_kernel(const Nvrtc& nvrtc, const SourceSet::Closure& closure,
                                      const KernelRequest& request);

// The PTX of the same kernel: what a record's kernel hash is made of, the same on every machine with this NVRTC.
Result<std::string> compile_ptx(const Nvrtc& nvrtc, const SourceSet::Closure& closure, const KernelRequest& request);

// Reads registers, stack, spills and wgmma warnings from the assembler's verbose log.
KernelResources parse_resources(std::string_view log);

}  // namespace tare::jit
