// The kernels of a measurement as its records name them: what compiles each again on another day, and the hash of the
// PTX that the pinned compiler made of it, by which a row is found stale when the sources have changed. Hashes come
// with the kernels that ran: nothing is compiled for them. One thread.
#pragma once
#include <map>
#include <string>
#include <utility>

#include "jit/jit.hpp"

namespace tare::linear_cuda::bench {

class KernelRecords {
 public:
  void add(const jit::KernelRequest& request, const jit::CompiledKernel& kernel);
  // {"source": ..., "expression": ..., "ptx": ...}; without "ptx" when it is not known, or another compiler's.
  std::string json(const std::string& source, const std::string& expression) const;
  // Whose kernels these are: "13.0.88"; several with "and" between (a cache may hold older ones); empty: unknown.
  std::string compilers() const;
  // Why records are left without hashes, in a sentence; empty: they have them.
  std::string missing() const;

 private:
  std::map<std::pair<std::string, std::string>, std::string> hashes_;  // by source and expression
  std::map<std::string, int> compilers_;                               // kernels by compiler
};

}  // namespace tare::linear_cuda::bench
