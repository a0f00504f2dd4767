// Are these bytes a matrix in records (strips.hpp) that kernels may be handed? The head, the sizes that follow from it,
// and every record's count of escapes and place in the overflow list.
#pragma once
#include <span>

#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda {

// `densest`: the densest code that the layout has. [any thread]
Verdict check_strips(const WeightInfo& weight, WeightCode densest, std::span<const std::byte> in);

// The same, piece by piece.
class StripsCheck final : public PieceCheck {
 public:
  // `bytes`: of the whole weight.
  StripsCheck(const WeightInfo& weight, WeightCode densest, int64_t bytes)
      : weight_(weight), densest_(densest), bytes_(bytes) {}
  Verdict look(int64_t begin, std::span<const std::byte> piece) noexcept override;

 private:
  Verdict look_at_head(std::span<const std::byte> piece);
  const WeightInfo& weight_;
  const WeightCode densest_;
  const int64_t bytes_;
  StripsHead head_;           // from the first piece, and then const
  int64_t header_bytes_ = 0;  // of a record; 0: it has none
  int64_t in_header_ = 0;     // escapes that it holds
};

}  // namespace tare::linear_cuda
