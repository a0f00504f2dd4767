// A checkpoint's tensors as a Program's weights: finds the tensor of each, checks its shape, takes the part that the
// weight is. [any thread]
#pragma once
#include "core/bundle/coded_tiles.hpp"
#include "core/bundle/weight_source.hpp"
#include "core/runtime/weights.hpp"

namespace tare {

class CheckpointWeights final : public PlainWeights {
 public:
  explicit CheckpointWeights(const WeightSource& source) : source_(source) {}
  Status check(const WeightDecl& weight) const override;
  Status read(const WeightDecl& weight, const WeightInfo& info, int64_t row_begin, int64_t row_end,
              void* out) const override;
  std::unique_ptr<CodedTiles> coded(const WeightDecl& weight, const WeightInfo& info) const override;
  int64_t row_granule(const WeightDecl& weight, const WeightInfo& info) const noexcept override;
  Result<std::optional<LaidOutWeight>> laid_out(const WeightDecl& weight, const WeightInfo& info) const override;

 private:
  const WeightSource& source_;
};

}  // namespace tare
