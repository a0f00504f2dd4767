// attention/1, the oracle, and what both versions share: appending to the state and the rows' sequences.
#include <cmath>

#include "plugins/attention/attention.hpp"

namespace tare::attention {

std::vector<int32_t> sequence_of_row(const StepView& step) {
  std::vector<int32_t> out(static_cast<size_t>(step.num_tokens));
  for (int64_t s = 0; s < step.num_sequences; ++s)
    for (int32_t t = step.sequence_begin[s]; t < step.sequence_begin[s + 1]; ++t)
      out[static_cast<size_t>(t)] = static_cast<int32_t>(s);
  return out;
}

void append(const Launch& launch) noexcept {
  const StepView& step = launch.step;
  const StateView& state = *launch.state;
  const PageTable& table = step.page_tables[static_cast<size_t>(state.group)];
  for (int64_t s = 0; s < step.num_sequences; ++s)
    for (int32_t t = step.sequence_begin[s]; t < step.sequence_begin[s + 1]; ++t)
      for (size_t part = 0; part < 2; ++part) {
        const TensorView& from = launch.inputs[1 + part];
        std::byte* to = slot(state, table, s, step.positions[t], part);
        if (to != nullptr)
          std::memcpy(to, static_cast<const std::byte*>(from.data) + t * from.row_stride * size_of(from.dtype),
                      static_cast<size_t>(state.parts[part].token_bytes));
      }
}

Verdict supports(const Attention& op, const Problem& problem) {
  const ProblemOp& p = problem.first();
  if (!op.causal) return Verdict::no("attention that looks ahead is not written yet");
  if (!p.state) return Verdict::no("attention without a state");
  if (p.state->kind == StateKind::latent_ || p.state->kind == StateKind::recurrent_)
    return Verdict::no("state ", to_string(*p.state), ", expected full, window or chunk");
  return Verdict::yes();
}

Status reference(const CpuCall<Attention>& c) {
  append(c.launch);
  const StepView& step = c.launch.step;
  const StateView& state = *c.launch.state;
  const TensorView &q = c.launch.inputs[0], &k = c.launch.inputs[1], &v = c.launch.inputs[2];
  const TensorView& out = c.launch.outputs[0];
  const PageTable& table = step.page_tables[static_cast<size_t>(state.group)];
  const int64_t heads = q.sizes[1], d = q.sizes[2], kv_heads = k.sizes[1], dv = v.sizes[2];
  const std::vector<int32_t> sequences = sequence_of_row(step);
  std::vector<float> query(static_cast<size_t>(heads * d)), key(static_cast<size_t>(kv_heads * d)),
      value(static_cast<size_t>(kv_heads * dv)), mixed(static_cast<size_t>(heads * dv));
  for (int64_t t = 0; t < q.rows(); ++t) {
    const int64_t position = step.positions[t], begin = first_key(*c.problem.first().state, position);
    const size_t count = static_cast<size_t>(position - begin + 1);
    load_row(q, t, query);
    std::vector<double> scores(static_cast<size_t>(heads) * count);
    std::vector<std::vector<float>> values;
    for (size_t j = 0; j < count; ++j) {
      const int64_t s = sequences[static_cast<size_t>(t)], p = begin + static_cast<int64_t>(j);
      load_row(packed_view(slot(state, table, s, p, 0), k.dtype, {1, kv_heads * d}), 0, key);
      load_row(packed_view(slot(state, table, s, p, 1), v.dtype, {1, kv_heads * dv}), 0, value);
      values.push_back(value);
      for (int64_t h = 0; h < heads; ++h) {
        double score = 0;
        const int64_t kv = h / (heads / kv_heads);
        for (int64_t i = 0; i < d; ++i)
          score += double(query[static_cast<size_t>(h * d + i)]) * key[static_cast<size_t>(kv * d + i)];
        score *= c.op.scale;
        if (c.op.soft_cap > 0) score = c.op.soft_cap * std::tanh(score / c.op.soft_cap);
        scores[static_cast<size_t>(h) * count + j] = score;
      }
    }
    for (int64_t h = 0; h < heads; ++h) {
      const auto row = std::span(scores).subspan(static_cast<size_t>(h) * count, count);
      const double top = *std::max_element(row.begin(), row.end());
      double total = 0;
      for (double& s : row) total += s = std::exp(s - top);
      const int64_t kv = h / (heads / kv_heads);
      for (int64_t i = 0; i < dv; ++i) {
        double sum = 0;
        for (size_t j = 0; j < count; ++j) sum += row[j] * values[j][static_cast<size_t>(kv * dv + i)];
        mixed[static_cast<size_t>(h * dv + i)] = static_cast<float>(sum / total);
      }
    }
    store_row(out, t, mixed);
  }
  return {};
}

}  // namespace tare::attention
