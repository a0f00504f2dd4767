#include "core/app/memory_plan.hpp"

#include <algorithm>

#include "core/runtime/state.hpp"

namespace tare {
namespace {

int64_t least_state(std::span<const StateGroup> groups) {
  const auto pages = pages_for(groups, 1, 1, 1);
  return pages.empty() ? 0 : bytes_of(groups, pages);
}

// Largest number of state tokens that fits into `bytes`, at most `most`.
int64_t tokens_that_fit(std::span<const StateGroup> groups, int64_t bytes, int64_t most,
                        const ExecutorOptions& options) {
  int64_t low = 0, high = most;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (bytes_of(groups, pages_for(groups, middle, options.max_sequences, options.max_step_tokens)) <= bytes)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

}  // namespace

Status size_state(const Program& program, const ExecutorOptions& executor, int64_t budget, const std::string& name,
                  MemoryPlan& memory, std::vector<int32_t>& pages) {
  const auto groups = state_groups(program, kPageTokens);
  memory.state_bytes_per_token = 0;
  for (const StateGroup& g : groups) memory.state_bytes_per_token += g.token_bytes;
  const int64_t left = budget - memory.weights - memory.workspace;
  if (left < least_state(groups))
    return failure(Code::exhausted, name, " needs ", memory.weights, " bytes for weights and ", memory.workspace,
                   " for workspace, the budget is ", budget, " bytes");
  memory.state_tokens = tokens_that_fit(groups, left, int64_t{executor.context} * executor.max_sequences, executor);
  pages = pages_for(groups, memory.state_tokens, executor.max_sequences, executor.max_step_tokens);
  memory.state = bytes_of(groups, pages);
  return {};
}

StateReserve state_reserve(const Program& program, const ExecutorOptions& executor, int64_t budget) {
  const auto groups = state_groups(program, kPageTokens);
  const int64_t whole = bytes_of(groups, pages_for(groups, executor.context, 1, executor.max_step_tokens));
  const int64_t least = least_state(groups);
  return {std::max(least, std::min(whole, budget / 8)), least};
}

}  // namespace tare
