// embed.cpu: threads over rows; a row of the result's type goes straight to its place, and one in "dense/rows" is a
// copy without its layout's help.
#include <cstring>

#include "plugins/embedding/embedding.hpp"

namespace tare::embedding {

Status fast(const CpuCall<Embed>& c) {
  TARE_RETURN_IF_ERROR(check(c));
  const WeightView& table = c.launch.weights[0];
  const TensorView& out = c.launch.outputs[0];
  const int64_t hidden = table.info->inputs(), bytes = hidden * size_of(table.info->dtype);
  const bool same_type = table.info->dtype == out.dtype, plain = table.layout == "dense/rows";
  const auto threads = static_cast<size_t>(c.parallel.threads());
  // For each thread: a row as it is and as floats, where the types differ; and the first error.
  std::vector<std::byte> rows(same_type ? 0 : threads * static_cast<size_t>(bytes));
  std::vector<float> wide(same_type ? 0 : threads * static_cast<size_t>(hidden));
  std::vector<Status> errors(threads);
  const auto body = [&](int64_t begin, int64_t end, int32_t worker) {
    const auto w = static_cast<size_t>(worker);
    for (int64_t t = begin; t < end; ++t) {
      const int64_t id = c.launch.step.token_ids[t];
      std::byte* const place = static_cast<std::byte*>(out.data) + t * out.row_stride * size_of(out.dtype);
      std::byte* const row = same_type ? place : rows.data() + w * static_cast<size_t>(bytes);
      if (plain) {
        std::memcpy(row, static_cast<const std::byte*>(table.data) + id * bytes, static_cast<size_t>(bytes));
      } else if (Status s = table.decoder->decode(*table.info, id, id + 1, table.data, row); !s.ok()) {
        errors[w] = std::move(s);
        return;
      }
      if (same_type) continue;
      const std::span floats(wide.data() + w * static_cast<size_t>(hidden), static_cast<size_t>(hidden));
      load_row(packed_view(row, table.info->dtype, {1, hidden}), 0, floats);
      store_row(out, t, floats);
    }
  };
  if (out.rows() == 1)
    body(0, 1, 0);
  else
    c.parallel.run(out.rows(), std::max<int64_t>(1, 65536 / std::max<int64_t>(1, bytes)), body);
  for (Status& s : errors) TARE_RETURN_IF_ERROR(s);
  return {};
}

}  // namespace tare::embedding
