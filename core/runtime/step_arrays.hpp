// StepArrays: a step's arrays in the memory of a device that reads no host memory. Steps with the same shape lie at the
// same addresses, so that recorded work finds the next step's numbers where it looks for them. One engine thread.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/api/device.hpp"
#include "core/engine/step_input.hpp"

namespace tare {

// All that addresses, strides and counts of a step's arrays depend on.
struct StepShape {
  int64_t tokens = 0, sequences = 0, logit_rows = 0;
  std::vector<int64_t> strides;  // of the page tables on the device
  auto operator<=>(const StepShape&) const = default;
};

class StepArrays {
 public:
  // `entries`: numbers that the largest step has, page tables included; a larger one makes room for itself.
  static Result<std::unique_ptr<StepArrays>> create(Device& device, int64_t entries, std::string label);
  // Copies the step's arrays and points `view` and `tables` (those that view.page_tables shows) to them. Waits only
  // where the device has no pinned memory: what an upload before put on `stream` must have ended.
  Result<StepShape> upload(Stream& stream, const StepInput& step, StepView& view, std::vector<PageTable>& tables);
  // Moves on whenever the arrays moved to larger memory: what was recorded before is worth nothing then.
  int64_t generation() const noexcept { return generation_; }

 private:
  StepArrays(Device& device, std::string label) : device_(device), label_(std::move(label)) {}
  Status reserve(size_t bytes);
  Device& device_;
  const std::string label_;
  std::unique_ptr<Buffer> on_device_, pinned_;
  std::vector<std::byte> pageable_;  // where there is no pinned memory
  int64_t generation_ = 0;
};

}  // namespace tare
