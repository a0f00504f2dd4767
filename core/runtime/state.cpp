#include "core/runtime/state.hpp"

#include <algorithm>

namespace tare {
namespace {

constexpr int64_t kPageAlignment = 64;
int64_t token_bytes(const Shape& part, DType dtype) noexcept { return elements(part) * size_of(dtype); }
int64_t page_part_bytes(const Shape& part, DType dtype, int32_t page_tokens) noexcept {
  return (token_bytes(part, dtype) * page_tokens + kPageAlignment - 1) / kPageAlignment * kPageAlignment;
}

}  // namespace

std::vector<StateGroup> state_groups(const Program& program, int32_t page_tokens) {
  std::vector<StateGroup> groups;
  for (size_t s = 0; s < program.states.size(); ++s) {
    const StateDecl& state = program.states[s];
    if (state.parts.empty()) continue;
    auto at = std::ranges::find_if(groups,
                                   [&](const StateGroup& g) { return g.kind == state.kind && g.parts == state.parts; });
    if (at == groups.end())
      at = groups.insert(
          groups.end(), StateGroup{.kind = state.kind, .parts = state.parts, .states = {}, .page_tokens = page_tokens});
    at->states.push_back(static_cast<int32_t>(s));
    for (const Shape& part : state.parts) {
      at->token_bytes += token_bytes(part, program.dtype);
      at->page_bytes += page_part_bytes(part, program.dtype, page_tokens);
    }
  }
  return groups;
}

std::vector<int32_t> pages_for(std::span<const StateGroup> groups, int64_t tokens, int64_t sequences, int64_t chunk) {
  std::vector<int32_t> pages;
  for (const StateGroup& g : groups) {
    const int64_t page = g.page_tokens;
    int64_t wanted = (tokens + page - 1) / page + sequences;  // a page begun for each sequence
    if (g.kind.kind == StateKind::window_)
      wanted = std::min(wanted, sequences * ((g.kind.extent + chunk + page - 1) / page + 1));
    pages.push_back(static_cast<int32_t>(std::min<int64_t>(wanted, INT32_MAX)));
  }
  return pages;
}
int64_t bytes_of(std::span<const StateGroup> groups, std::span<const int32_t> pages) {
  int64_t bytes = 0;
  for (size_t g = 0; g < groups.size(); ++g) bytes += groups[g].page_bytes * pages[g];
  return bytes;
}

Result<std::unique_ptr<PagedState>> PagedState::allocate(const Program& program, std::vector<StateGroup> groups,
                                                         std::vector<int32_t> pages, Device& device,
                                                         std::string_view label) {
  auto out = std::unique_ptr<PagedState>(new PagedState);
  out->parts_.resize(program.states.size());
  out->views_.resize(program.states.size());
  for (size_t g = 0; g < groups.size(); ++g) {
    const StateGroup& group = groups[g];
    TARE_ASSIGN_OR_RETURN(auto buffer, device.allocate(static_cast<size_t>(group.page_bytes * pages[g]), Purpose::state,
                                                       text(label, "/", to_string(group.kind))));
    int64_t offset = 0;
    for (int32_t s : group.states) {
      auto& parts = out->parts_[static_cast<size_t>(s)];
      for (const Shape& part : group.parts) {
        parts.push_back({offset, token_bytes(part, program.dtype)});
        offset += page_part_bytes(part, program.dtype, group.page_tokens);
      }
      out->views_[static_cast<size_t>(s)] = {.base = static_cast<std::byte*>(buffer->data()),
                                             .page_bytes = group.page_bytes,
                                             .page_tokens = group.page_tokens,
                                             .group = static_cast<int32_t>(g),
                                             .parts = parts};
    }
    out->buffers_.push_back(std::move(buffer));
  }
  out->groups_ = std::move(groups), out->pages_ = std::move(pages);
  return out;
}

}  // namespace tare
