// attention/1 on the CPU over paged state. Part 0 of the state holds k, part 1 holds v: [kv_heads, d] a token, in the
// model's dtype. Each (token, head) is computed by itself over absolute positions, so its bits depend neither on the
// batch nor on prefill chunks.
#pragma once
#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare::attention {

// The keys that the state's kind shows to a query at `position`: [first, position].
inline int64_t first_key(const StateKind& kind, int64_t position) noexcept {
  if (kind.kind == StateKind::window_) return std::max<int64_t>(0, position - kind.extent + 1);
  if (kind.kind == StateKind::chunk_) return position / kind.extent * kind.extent;
  return 0;
}
// Where token `position` of a sequence keeps part p; null where its page was given back.
inline std::byte* slot(const StateView& state, const PageTable& table, int64_t sequence, int64_t position,
                       size_t part) noexcept {
  const int32_t page = table.pages[sequence * table.stride + position / state.page_tokens];
  if (page < 0) return nullptr;
  const StatePart& p = state.parts[part];
  return state.base + page * state.page_bytes + p.offset + position % state.page_tokens * p.token_bytes;
}
// Writes k and v of every row of the step to the state.
void append(const Launch& launch) noexcept;
// The sequence that each row of the step belongs to.
std::vector<int32_t> sequence_of_row(const StepView& step);

Status reference(const CpuCall<Attention>& call);  // the oracle: softmax over all keys, f64 sums
Verdict supports(const Attention& op, const Problem& problem);

Status fast(const CpuCall<Attention>& call);  // blocks of keys by absolute position, threads over rows and kv heads
// `fma`: is it for CPUs whose best instruction set has FMA, or for the others?
Verdict supports_fast(const Attention& op, const Problem& problem, bool fma);

// The table: fast ones, then the oracle.
std::vector<std::unique_ptr<KernelCandidate>> candidates();

}  // namespace tare::attention
