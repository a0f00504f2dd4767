// The seam between the shared driver and an instruction set: a Multiplier turns a block of weights and packed
// activations into F32 sums. Everything else (threads, blocking over rows, bias, rounding, tails) is the driver's.
// Thread rule: const; multiply and pack are [any thread].
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/api/attributes.hpp"
#include "core/api/cpu_targets.hpp"
#include "core/api/view.hpp"

namespace tare::linear {

// What may be tuned. Every combination that accepts() allows gives the same bits.
struct CpuConfig {
  int64_t prefetch = 1024;  // bytes of weights fetched ahead; 0: none
  int64_t strips = 1;       // of 64 outputs that a thread takes at a time
  int64_t rows = 256;       // of activations that a thread takes at a time
  int64_t k_block = 0;      // inputs of a panel that stays in the first cache; 0: all
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("prefetch", self.prefetch), visit("strips", self.strips), visit("rows", self.rows);
    visit("k_block", self.k_block);
  }
};
// The same with a choice of instruction set.
struct HighwayConfig {
  CpuConfig common;
  CpuTarget target = CpuTarget::best;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    CpuConfig::fields(self.common, visit);
    visit("target", self.target);
  }
};

// Activations as a multiplier reads them: rows of x where they lie (or copied, padded with zeros), or packed by a rule
// of its own.
struct Activations {
  const void* data = nullptr;
  int64_t row_stride = 0;  // in elements; kPackedByRule: there are no rows
};
constexpr int64_t kPackedByRule = -1;

// Sums of rows [row_begin, row_begin + rows) for `strips` strips that lie one behind the other. `sums` is
// [strips][rows rounded up to 16][64].
struct MultiplyBlock {
  const std::byte* weights = nullptr;  // dense: the first strip
  int64_t strips = 1, strip_bytes = 0;
  const std::byte* matrix = nullptr;  // the whole laid-out weight, for layouts with a header
  int64_t first_strip = 0;
  int64_t inputs = 0;
  Activations x;
  int64_t row_begin = 0, rows = 0;
  float* sums = nullptr;
  int64_t prefetch = 0, k_block = 0;
};

class Multiplier {
 public:
  virtual ~Multiplier() = default;
  virtual std::string_view layout() const noexcept { return "dense/cpu-tiles"; }  // that multiply() reads
  // Bytes that pack() needs for so many rows; row blocks of a launch begin at multiples of row_granule().
  virtual int64_t packed_bytes(int64_t rows, int64_t inputs) const noexcept = 0;
  virtual int64_t row_granule() const noexcept { return 16; }
  // May multiply() read this x where it lies?
  virtual bool reads_in_place(const TensorView& x, int64_t inputs) const noexcept = 0;
  // Packs rows [row_begin, row_end) of x; row_begin is a multiple of row_granule().
  virtual void pack(const TensorView& x, int64_t inputs, int64_t row_begin, int64_t row_end,
                    std::byte* packed) const noexcept = 0;
  // row_stride of Activations after pack().
  virtual int64_t packed_stride(int64_t rows, int64_t inputs) const noexcept = 0;
  virtual void multiply(const MultiplyBlock& block) const noexcept = 0;
};

}  // namespace tare::linear
