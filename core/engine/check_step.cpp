#include <algorithm>

#include "core/engine/executor.hpp"

namespace tare {
namespace {

Status check_counts(const StepInput& step, const ExecutorLimits& limits) {
  const int64_t tokens = step.num_tokens(), sequences = step.num_sequences(), rows = step.num_logit_rows();
  if (tokens == 0) return invalid("step has no tokens");
  if (tokens > limits.max_step_tokens)
    return invalid("step has ", tokens, " tokens, expected at most ", limits.max_step_tokens);
  if (sequences > limits.max_sequences)
    return invalid("step has ", sequences, " sequences, expected at most ", limits.max_sequences);
  if (step.positions.size() != step.token_ids.size())
    return invalid("step has ", step.positions.size(), " positions, expected ", tokens, ", one a token");
  if (step.sequence_begin.size() != static_cast<size_t>(sequences) + 1)
    return invalid("step has ", step.sequence_begin.size(), " sequence bounds, expected ", sequences + 1);
  if (step.sampling.size() != static_cast<size_t>(rows))
    return invalid("step has ", step.sampling.size(), " sampling rows, expected ", rows, ", one a logit row");
  if (rows > limits.max_sequences)
    return invalid("step has ", rows, " logit rows, expected at most ", limits.max_sequences);
  if (step.page_tables.size() != limits.groups.size())
    return invalid("step has ", step.page_tables.size(), " page tables, expected ", limits.groups.size());
  return {};
}

Status check_rows(const StepInput& step, const ExecutorLimits& limits) {
  if (step.sequence_begin.front() != 0 || step.sequence_begin.back() != step.num_tokens())
    return invalid("sequences cover rows ", step.sequence_begin.front(), " to ", step.sequence_begin.back(),
                   ", expected 0 to ", step.num_tokens());
  for (size_t s = 0; s < step.context_lengths.size(); ++s) {
    const int32_t begin = step.sequence_begin[s], end = step.sequence_begin[s + 1];
    if (begin < 0 || begin >= end || end > step.num_tokens())
      return invalid("sequence ", s, " has rows ", begin, " to ", end, ", expected at least one inside the step");
    const int64_t length = step.context_lengths[s];
    if (length > limits.context || length < end - begin)
      return invalid("sequence ", s, " has a context of ", length, " tokens, expected ", end - begin, " to ",
                     limits.context);
    for (int32_t row = begin; row < end; ++row)
      if (step.positions[row] != length - (end - row))
        return invalid("row ", row, " has position ", step.positions[row], ", expected ", length - (end - row));
  }
  for (size_t row = 0; row < step.token_ids.size(); ++row)
    if (step.token_ids[row] < 0 || step.token_ids[row] >= limits.vocabulary)
      return invalid("row ", row, " has token ", step.token_ids[row], ", expected 0 to ", limits.vocabulary - 1);
  for (size_t r = 0; r < step.logit_row_tokens.size(); ++r)
    if (step.logit_row_tokens[r] < 0 || step.logit_row_tokens[r] >= step.num_tokens())
      return invalid("logit row ", r, " is row ", step.logit_row_tokens[r], ", expected 0 to ", step.num_tokens() - 1);
  return {};
}

Status check_sampling(const StepInput& step, const ExecutorLimits& limits) {
  const auto outside = [&](int32_t id) { return id < 0 || id >= limits.vocabulary; };
  for (size_t r = 0; r < step.sampling.size(); ++r) {
    const SamplingInput& s = step.sampling[r];
    for (const auto* history : {&s.prompt, &s.output})
      if (const auto at = std::ranges::find_if(*history, outside); at != history->end())
        return invalid("sampling row ", r, " has token ", *at, " in its history, expected 0 to ",
                       limits.vocabulary - 1);
    for (const auto& [id, bias] : s.bias)
      if (outside(id))
        return invalid("sampling row ", r, " has a bias for token ", id, ", expected 0 to ", limits.vocabulary - 1);
  }
  return {};
}

Status check_pages(const StepInput& step, const ExecutorLimits& limits, size_t group) {
  const PageTableInput& table = step.page_tables[group];
  const StateGroupLimits& g = limits.groups[group];
  if (g.page_tokens < 1) return invalid("state group ", group, " has pages of ", g.page_tokens, " tokens");
  if (table.stride < 0 || table.pages.size() != static_cast<size_t>(table.stride) * step.context_lengths.size())
    return invalid("page table ", group, " has ", table.pages.size(), " entries, expected ", table.stride, " times ",
                   step.num_sequences());
  std::vector<int32_t> written;
  for (size_t s = 0; s < step.context_lengths.size(); ++s) {
    const int32_t first_row_position = step.positions[step.sequence_begin[s]];
    const int64_t first = first_visible(g.kind, first_row_position) / g.page_tokens;
    const int64_t write = first_row_position / g.page_tokens, last = (step.context_lengths[s] - 1) / g.page_tokens;
    if (last >= table.stride)
      return invalid("page table ", group, " has ", table.stride, " pages a sequence, but sequence ", s, " needs ",
                     last + 1);
    for (int64_t i = 0; i < table.stride; ++i) {
      const int32_t page = table.pages[s * static_cast<size_t>(table.stride) + static_cast<size_t>(i)];
      if (page < -1 || page >= g.num_pages)
        return invalid("page table ", group, " names page ", page, ", expected 0 to ", g.num_pages - 1);
      if (i >= first && i <= last && page == -1)
        return invalid("page table ", group, " lacks page ", i, " of sequence ", s, ", which its rows need");
      if (i >= write && i <= last) written.push_back(page);
    }
  }
  std::ranges::sort(written);
  if (const auto twice = std::ranges::adjacent_find(written); twice != written.end())
    return invalid("page table ", group, " has page ", *twice, " written twice in one step");
  return {};
}

}  // namespace

int64_t first_visible(StateKind kind, int64_t position) noexcept {
  switch (kind.kind) {
    case StateKind::window_:
      return position < kind.extent ? 0 : position - kind.extent + 1;
    case StateKind::chunk_:
      return kind.extent <= 0 ? 0 : position - position % kind.extent;
    default:
      return 0;
  }
}

Status check_step(const StepInput& step, const ExecutorLimits& limits) {
  TARE_RETURN_IF_ERROR(check_counts(step, limits));
  TARE_RETURN_IF_ERROR(check_rows(step, limits));
  TARE_RETURN_IF_ERROR(check_sampling(step, limits));
  for (size_t group = 0; group < limits.groups.size(); ++group) TARE_RETURN_IF_ERROR(check_pages(step, limits, group));
  return {};
}

}  // namespace tare
