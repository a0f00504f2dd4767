// ResidentWeights: a Program's weights on a device, each once, in the layout that the settlement gave it. [loader],
// then const and [any thread].
#pragma once
#include <functional>
#include <memory>

#include "core/program/plan.hpp"
#include "core/runtime/lay_out.hpp"

namespace tare {

// Bytes of all weights in their layouts, alignment included; of codes that look at the numbers first, what numbers as
// trained models have them will take. `known`: by weight, bytes that a file says, 0 where it says none; may be empty.
int64_t resident_bytes(const Program& program, const Settlement& settlement, const Registry& registry,
                       std::span<const int64_t> known = {});

class ResidentWeights {
 public:
  // Checks every weight before the first is read. `advance(bytes)` is called as plain bytes are done. A failure leaves
  // nothing allocated. `program` and the registry's layouts must outlive the result.
  static Result<std::unique_ptr<ResidentWeights>> load(const Program& program, const Settlement& settlement,
                                                       const Registry& registry, Device& device,
                                                       const PlainWeights& source, std::string_view label,
                                                       const Advance& advance);
  const WeightView& view(int32_t weight) const noexcept { return views_[static_cast<size_t>(weight)]; }
  int64_t bytes() const noexcept { return bytes_; }
  // What a weight's code chose when it had seen the numbers; "" for codes that choose nothing.
  const std::string& note(int32_t weight) const noexcept { return notes_[static_cast<size_t>(weight)]; }
  // Weights on which their code does not pay, so that it fell back to plain numbers.
  std::span<const int32_t> fell_back() const noexcept { return fell_back_; }
  // Weights that were copied as a file had them, and those that lay in another layout there.
  int32_t num_copied() const noexcept { return num_copied_; }
  int32_t num_reordered() const noexcept { return num_reordered_; }

 private:
  // For devices that the host does not read.
  Status load_staged(const Program& program, std::span<const Layout* const> layouts, const Registry& registry,
                     Device& device, const PlainWeights& source, std::string_view label, const Advance& advance);
  // What became of a weight.
  struct Facts {
    std::string note = {};
    bool pays = true, is_copied = false, is_reordered = false;
  };
  static Facts facts_of(const WeightOnItsWay& way);
  void count(int32_t weight, Facts facts);

  std::vector<WeightInfo> infos_;
  std::vector<WeightView> views_;
  std::vector<std::string> notes_;             // by weight
  std::vector<std::vector<std::byte>> heads_;  // by weight, of devices that the host does not read
  std::vector<int32_t> fell_back_;
  int32_t num_copied_ = 0, num_reordered_ = 0;
  int64_t bytes_ = 0;
  std::unique_ptr<Buffer> buffer_;                // of all weights, or
  std::vector<std::unique_ptr<Buffer>> buffers_;  // one each
};

}  // namespace tare
