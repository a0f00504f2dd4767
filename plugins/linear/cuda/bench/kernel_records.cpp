#include "plugins/linear/cuda/bench/kernel_records.hpp"

namespace tare::linear_cuda::bench {

void KernelRecords::add(const jit::KernelRequest& request, const jit::CompiledKernel& kernel) {
  ++compilers_[kernel.compiler];
  if (kernel.compiler == jit::kPinnedCompiler) hashes_[{request.source, request.expression}] = kernel.ptx_hash;
}

std::string KernelRecords::json(const std::string& source, const std::string& expression) const {
  std::string out = text("{\"source\":\"", source, "\",\"expression\":\"", expression, "\"");
  if (const auto at = hashes_.find({source, expression}); at != hashes_.end()) out += ",\"ptx\":\"" + at->second + '"';
  return out + '}';
}

std::string KernelRecords::compilers() const {
  std::string out;
  for (const auto& [compiler, kernels] : compilers_)
    if (!compiler.empty()) out += (out.empty() ? "" : " and ") + compiler;
  return out;
}

std::string KernelRecords::missing() const {
  int others = 0;
  for (const auto& [compiler, kernels] : compilers_)
    if (compiler != jit::kPinnedCompiler) others += kernels;
  if (others == 0) return {};
  const std::string found = compilers();
  return text(others, " kernels are of ", found.empty() ? "an unknown compiler" : "NVRTC " + found,
              ": records leave out their hashes, which are those of NVRTC ", jit::kPinnedCompiler);
}

}  // namespace tare::linear_cuda::bench
