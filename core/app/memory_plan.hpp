// MemoryPlan: the bytes that a model takes on a device, by line, known before anything is allocated. Pure, [any
// thread].
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/runtime/plan_executor.hpp"

namespace tare {

constexpr int32_t kPageTokens = 32;

struct MemoryPlan {
  int64_t weights = 0, workspace = 0, state = 0;
  int64_t state_tokens = 0;  // positions that fit, over all sequences
  int64_t state_bytes_per_token = 0;
  int64_t total() const noexcept { return weights + workspace + state; }
};

// State takes what `memory`'s weights and workspace leave of the budget, at most what all sequences can use; `pages`:
// by state group. Refused with all figures when that is not even a page.
Status size_state(const Program& program, const ExecutorOptions& executor, int64_t budget, const std::string& name,
                  MemoryPlan& memory, std::vector<int32_t>& pages);
// What layouts should leave for state: one sequence of full length, but no more than an eighth of the budget; and the
// least that a model runs with.
struct StateReserve {
  int64_t wanted = 0, least = 0;
};
StateReserve state_reserve(const Program& program, const ExecutorOptions& executor, int64_t budget);

}  // namespace tare
