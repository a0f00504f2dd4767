// embed/1 on the CPU: one row of the table for each token, from whatever layout the table lies in.
#include <atomic>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace tare {
namespace {

Status embed(const CpuCall<Embed>& c) {
  const WeightView& table = c.launch.weights[0];
  const TensorView& out = c.launch.outputs[0];
  const int64_t vocab = table.info->outputs(), hidden = table.info->inputs();
  if (out.row_elements() != hidden)
    return Status(Code::internal, text("embed: result rows have ", out.row_elements(), " elements, expected ", hidden));
  const int32_t* ids = c.launch.step.token_ids;
  for (int64_t t = 0; t < out.rows(); ++t)
    if (ids[t] < 0 || ids[t] >= vocab) return invalid("token id ", ids[t], " lies outside the vocabulary of ", vocab);
  std::vector<std::byte> row(static_cast<size_t>(hidden * size_of(table.info->dtype)));
  std::vector<float> wide(static_cast<size_t>(hidden));
  for (int64_t t = 0; t < out.rows(); ++t) {
    if (table.info->dtype == out.dtype) {
      TARE_RETURN_IF_ERROR(table.decoder->decode(*table.info, ids[t], ids[t] + 1, table.data,
                                                 out.row<std::byte>(0) + t * out.row_stride * size_of(out.dtype)));
    } else {
      TARE_RETURN_IF_ERROR(table.decoder->decode(*table.info, ids[t], ids[t] + 1, table.data, row.data()));
      load_row(packed_view(row.data(), table.info->dtype, {1, hidden}), 0, wide);
      store_row(out, t, wide);
    }
  }
  return {};
}

Status register_plugin(Registrar& registrar) noexcept {
  registrar.add_kernel(cpu_kernel<Embed>({.id = "embed.cpu_reference", .numerics = "exact", .run = embed}));
  return {};
}

}  // namespace
}  // namespace tare
TARE_PLUGIN("tare.embedding", "0.1.0", tare::register_plugin)
