// Steps of golden models, put together by hand: no engine, no scheduler. Pages are dealt out in order. [one thread]
#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <doctest/doctest.h>

#include "core/runtime/plan_executor.hpp"
#include "tests/golden/support/golden.hpp"

namespace tare::golden {

// Part of a step: some tokens of one sequence, from `position` on; `slot` says which pages are its own.
struct Rows {
  std::vector<int32_t> tokens;
  int32_t position = 0, slot = 0;
  bool all_logits = true;  // otherwise of the last row alone
};
inline StepInput step_of(const ExecutorLimits& limits, const std::vector<Rows>& sequences) {
  StepInput step;
  for (const Rows& rows : sequences) {
    for (size_t t = 0; t < rows.tokens.size(); ++t) {
      if (rows.all_logits || t + 1 == rows.tokens.size()) {
        step.logit_row_tokens.push_back(static_cast<int32_t>(step.token_ids.size()));
        step.sampling.emplace_back().temperature = 0;
      }
      step.token_ids.push_back(rows.tokens[t]);
      step.positions.push_back(rows.position + static_cast<int32_t>(t));
    }
    step.sequence_begin.push_back(static_cast<int32_t>(step.token_ids.size()));
    step.context_lengths.push_back(rows.position + static_cast<int32_t>(rows.tokens.size()));
  }
  for (const StateGroupLimits& g : limits.groups) {
    PageTableInput table{.stride = (limits.context + g.page_tokens - 1) / g.page_tokens, .pages = {}};
    for (const Rows& rows : sequences) {
      const auto end = static_cast<int32_t>(rows.position + static_cast<int32_t>(rows.tokens.size()));
      for (int32_t p = 0; p < table.stride; ++p)
        table.pages.push_back(p * g.page_tokens < end ? rows.slot * table.stride + p : -1);
    }
    step.page_tables.push_back(std::move(table));
  }
  return step;
}

// Logits of all rows, the prompt in steps of `chunk`, then the decode tokens one by one.
inline std::vector<float> logits_of(PlanExecutor& executor, const GoldenCase& golden, size_t chunk) {
  std::vector<float> all;
  const auto feed = [&](std::span<const int32_t> tokens, size_t position) {
    const auto out = executor.run(
        step_of(executor.limits(), {{{tokens.begin(), tokens.end()}, static_cast<int32_t>(position), 0, true}}));
    REQUIRE_MESSAGE(out.ok(), out.status().message());
    const auto logits = executor.logits();
    REQUIRE_MESSAGE(logits.ok(), logits.status().message());
    all.insert(all.end(), logits->begin(), logits->end());
  };
  const std::span prompt(golden.prompt);
  for (size_t at = 0; at < prompt.size(); at += chunk)
    feed(prompt.subspan(at, std::min(chunk, prompt.size() - at)), at);
  for (size_t i = 0; i < golden.decode.size(); ++i) feed(std::span(golden.decode).subspan(i, 1), prompt.size() + i);
  return all;
}

}  // namespace tare::golden
