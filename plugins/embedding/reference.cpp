// embed/1, the oracle, and the table of candidates.
#include "plugins/embedding/embedding.hpp"

namespace tare::embedding {

Status check(const CpuCall<Embed>& c) {
  const WeightInfo& table = *c.launch.weights[0].info;
  const TensorView& out = c.launch.outputs[0];
  if (out.row_elements() != table.inputs())
    return Status(Code::internal,
                  text("embed: result rows have ", out.row_elements(), " elements, expected ", table.inputs()));
  const int32_t* ids = c.launch.step.token_ids;
  for (int64_t t = 0; t < out.rows(); ++t)
    if (ids[t] < 0 || ids[t] >= table.outputs())
      return invalid("token id ", ids[t], " lies outside the vocabulary of ", table.outputs());
  return {};
}

Status reference(const CpuCall<Embed>& c) {
  TARE_RETURN_IF_ERROR(check(c));
  const WeightView& table = c.launch.weights[0];
  const TensorView& out = c.launch.outputs[0];
  const int64_t hidden = table.info->inputs();
  std::vector<std::byte> row(static_cast<size_t>(hidden * size_of(table.info->dtype)));
  std::vector<float> wide(static_cast<size_t>(hidden));
  for (int64_t t = 0; t < out.rows(); ++t) {
    const int64_t id = c.launch.step.token_ids[t];
    TARE_RETURN_IF_ERROR(table.decoder->decode(*table.info, id, id + 1, table.data, row.data()));
    load_row(packed_view(row.data(), table.info->dtype, {1, hidden}), 0, wide);
    store_row(out, t, wide);
  }
  return {};
}

std::vector<std::unique_ptr<KernelCandidate>> candidates() {
  const auto supports = [](const Embed&, const Problem& problem) {
    const ProblemOp& p = problem.first();
    if (p.results.size() != 1 || p.weights.size() != 1 || !p.weights[0])
      return Verdict::no(p.results.size(), " results and ", p.weights.size(), " weights, expected 1 and a table");
    const DType result = p.results[0].dtype;
    return result == DType::bf16 || result == DType::f32
               ? Verdict::yes()
               : Verdict::no("the result is ", name(result), ", expected bf16 or f32");
  };
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(cpu_kernel<Embed>({.id = "embed.cpu", .numerics = "exact", .run = fast, .supports = supports}));
  out.push_back(cpu_kernel<Embed>(
      {.id = "embed.cpu_reference", .numerics = "exact", .run = reference, .supports = supports, .reference = true}));
  return out;
}

}  // namespace tare::embedding
