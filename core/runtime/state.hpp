// PagedState: the pages that sequences keep their keys and values in, by group. Layers of one kind and shape form a
// group; a page of a group holds `page_tokens` positions of one sequence for all layers of the group. [loader], then
// the layout is const; the pages' content belongs to the step that runs.
#pragma once
#include <memory>

#include "core/api/device.hpp"
#include "core/api/step.hpp"
#include "core/program/program.hpp"

namespace tare {

struct StateGroup {
  StateKind kind;
  std::vector<Shape> parts;     // of one layer, per token
  std::vector<int32_t> states;  // of the Program
  int64_t token_bytes = 0;      // all layers
  int64_t page_bytes = 0;
  int32_t page_tokens = 0;
};
// In order of first appearance. `dtype`: what is stored.
std::vector<StateGroup> state_groups(const Program& program, int32_t page_tokens);
// Pages of each group so that `sequences` sequences can hold `tokens` positions in all; a window's group needs no more
// than the window and one chunk for each sequence.
std::vector<int32_t> pages_for(std::span<const StateGroup> groups, int64_t tokens, int64_t sequences, int64_t chunk);
int64_t bytes_of(std::span<const StateGroup> groups, std::span<const int32_t> pages);

class PagedState {
 public:
  static Result<std::unique_ptr<PagedState>> allocate(const Program& program, std::vector<StateGroup> groups,
                                                      std::vector<int32_t> pages, Device& device,
                                                      std::string_view label);
  const StateView& view(int32_t state) const noexcept { return views_[static_cast<size_t>(state)]; }
  std::span<const StateGroup> groups() const noexcept { return groups_; }
  std::span<const int32_t> pages() const noexcept { return pages_; }

 private:
  std::vector<StateGroup> groups_;
  std::vector<int32_t> pages_;
  std::vector<std::vector<StatePart>> parts_;  // by state: what the views point to
  std::vector<StateView> views_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
};

}  // namespace tare
