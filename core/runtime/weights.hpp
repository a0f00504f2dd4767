// ResidentWeights: a Program's weights on a device, each once, in the layout that the settlement gave it. [loader],
// then const and [any thread].
#pragma once
#include <functional>
#include <memory>

#include "core/program/plan.hpp"

namespace tare {

class CodedTiles;

// Where plain weights come from: a checkpoint, or made up in tests. Implementations are [any thread].
class PlainWeights {
 public:
  virtual ~PlainWeights() = default;
  // Is the weight there, of the declared shape and a type that we read? One sentence otherwise.
  virtual Status check(const WeightDecl& weight) const = 0;
  // Rows [row_begin, row_end) of the weight as a matrix of `info`, in info.dtype, packed.
  virtual Status read(const WeightDecl& weight, const WeightInfo& info, int64_t row_begin, int64_t row_end,
                      void* out) const = 0;
  // The weight, all of it, as coded tiles for devices that decode them; null: read() alone gives it.
  virtual std::unique_ptr<CodedTiles> coded(const WeightDecl&, const WeightInfo&) const;
  // Ranges of rows that are multiples of it are read best: a source whose bytes lie in tiles decodes each but once.
  virtual int64_t row_granule(const WeightDecl&, const WeightInfo&) const noexcept { return 1; }
};

// Bytes of all weights in their layouts, alignment included; of codes that look at the numbers first, what numbers as
// trained models have them will take.
int64_t resident_bytes(const Program& program, const Settlement& settlement, const Registry& registry);

class ResidentWeights {
 public:
  // Checks every weight before the first is read. `advance(bytes)` is called as plain bytes are done. A failure leaves
  // nothing allocated. `program` and the registry's layouts must outlive the result.
  static Result<std::unique_ptr<ResidentWeights>> load(const Program& program, const Settlement& settlement,
                                                       const Registry& registry, Device& device,
                                                       const PlainWeights& source, std::string_view label,
                                                       const std::function<void(int64_t)>& advance);
  const WeightView& view(int32_t weight) const noexcept { return views_[static_cast<size_t>(weight)]; }
  int64_t bytes() const noexcept { return bytes_; }
  // What a weight's code chose when it had seen the numbers; "" for codes that choose nothing.
  const std::string& note(int32_t weight) const noexcept { return notes_[static_cast<size_t>(weight)]; }
  // Weights on which their code does not pay, so that it fell back to plain numbers.
  std::span<const int32_t> fell_back() const noexcept { return fell_back_; }

 private:
  // For devices that the host does not read.
  Status load_staged(const Program& program, std::span<const Layout* const> layouts, Device& device,
                     const PlainWeights& source, std::string_view label, const std::function<void(int64_t)>& advance);

  std::vector<WeightInfo> infos_;
  std::vector<WeightView> views_;
  std::vector<std::string> notes_;             // by weight
  std::vector<std::vector<std::byte>> heads_;  // by weight, of devices that the host does not read
  std::vector<int32_t> fell_back_;
  int64_t bytes_ = 0;
  std::unique_ptr<Buffer> buffer_;                // of all weights, or
  std::vector<std::unique_ptr<Buffer>> buffers_;  // one each
};

}  // namespace tare
