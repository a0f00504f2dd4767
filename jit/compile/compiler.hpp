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

// "13.0.88" of PTX that says "// Cuda compilation tools, release 13.0, V13.0.88" in its head; empty: it does not say.
std::string compiler_of(std::string_view ptx);

// Reads registers, stack, spills and wgmma warnings from the assembler's verbose log.
KernelResources parse_resources(std::string_view log);

}  // namespace tare::jit
