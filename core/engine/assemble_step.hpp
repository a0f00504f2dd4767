// From a scheduler's slices to the plain value that an executor takes. [engine thread]
#pragma once
#include <span>

#include "core/engine/scheduler.hpp"

namespace tare {

// How a sequence's tokens are drawn; constant over its life.
struct SamplingState {
  SamplingParameters parameters;  // `seed` is set
  int32_t choice = 0;
  bool reads_prompt() const noexcept { return parameters.repetition_penalty != 1; }
  bool reads_output() const noexcept {
    return reads_prompt() || parameters.frequency_penalty != 0 || parameters.presence_penalty != 0;
  }
};

// Adds one sequence's rows to `step`, and its sampling row when the slice draws.
void add_rows(const Slice& slice, const SamplingState& sampling, StepInput& step);
// Adds all slices' page tables, one a state group.
void add_page_tables(std::span<const Slice> slices, size_t groups, StepInput& step);

}  // namespace tare
