// What the fast CPU candidates have in common: one class a chain, with the instruction set as a part that says what it
// needs, in which order it adds, and how it multiplies. [any thread]
#pragma once
#include <memory>

#include "core/api/kernel.hpp"
#include "plugins/linear/cpu_driver.hpp"
#include "plugins/linear/cpu_layouts.hpp"

namespace tare::linear {

// An instruction set's half of a candidate.
class CpuBackend {
 public:
  virtual ~CpuBackend() = default;
  virtual std::string_view id() const noexcept = 0;  // "linear.cpu_amx_bf16"
  virtual Verdict supports(const Problem& problem, const LinearShape& shape) const noexcept = 0;
  virtual std::string numerics(const Problem& problem) const = 0;
  virtual CpuConfig fallback(const LinearShape& shape, int64_t rows) const noexcept = 0;
  virtual std::vector<CpuConfig> space(const LinearShape& shape, int64_t rows) const = 0;
  virtual std::unique_ptr<Multiplier> multiplier(const Problem& problem, CpuTarget target) const = 0;
  virtual std::string_view layout() const noexcept { return kCpuTiles; }  // its multipliers' own
  virtual bool chooses_target() const noexcept { return false; }          // is `target` a field of its configs?
};

std::unique_ptr<KernelCandidate> make_candidate(std::shared_ptr<const CpuBackend> backend, Tail tail);

std::shared_ptr<const CpuBackend> make_amx_backend();
std::shared_ptr<const CpuBackend> make_avx512_bf16_backend();
std::shared_ptr<const CpuBackend> make_highway_backend();

// The oracle (cpu_reference.cpp).
std::unique_ptr<KernelCandidate> make_reference();

}  // namespace tare::linear
