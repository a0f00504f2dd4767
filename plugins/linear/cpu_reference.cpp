// linear.cpu_reference: the oracle. Sums in order of K, one fused multiply-add each, weights from any layout.
#include <cmath>

#include "core/api/cpu_kernel.hpp"
#include "core/api/ops.hpp"
#include "plugins/linear/cpu_candidate.hpp"

namespace tare::linear {
namespace {

Status multiply(const CpuCall<Linear>& call) {
  const TensorView& x = call.launch.inputs[0];
  for (size_t i = 0; i < call.launch.outputs.size(); ++i) {
    const WeightView& weight = call.launch.weights[2 * i];
    const TensorView& out = call.launch.outputs[i];
    const int64_t outputs = weight.info->outputs(), inputs = weight.info->inputs();
    if (x.row_elements() != inputs || out.row_elements() != outputs || out.rows() != x.rows())
      return failure(Code::internal, "linear: x ", to_string(x), " times [", outputs, ", ", inputs, "] into ",
                     to_string(out));
    TARE_ASSIGN_OR_RETURN(const std::vector<float> bias, load_weight(call.launch.weights[2 * i + 1]));
    std::vector<std::vector<float>> rows(static_cast<size_t>(x.rows()),
                                         std::vector<float>(static_cast<size_t>(inputs)));
    for (int64_t r = 0; r < x.rows(); ++r) load_row(x, r, rows[static_cast<size_t>(r)]);
    std::vector<std::vector<float>> sums(rows.size(), std::vector<float>(static_cast<size_t>(outputs)));
    std::vector<Status> statuses(static_cast<size_t>(call.parallel.threads()));
    call.parallel.run(outputs, 16, [&](int64_t begin, int64_t end, int32_t worker) {
      std::vector<std::byte> plain(static_cast<size_t>(inputs * size_of(weight.info->dtype)));
      std::vector<float> w(static_cast<size_t>(inputs));
      for (int64_t n = begin; n < end; ++n) {
        Status status = weight.decoder->decode(*weight.info, n, n + 1, weight.data, plain.data());
        if (!status.ok()) statuses[static_cast<size_t>(worker)] = std::move(status);
        load_row(packed_view(plain.data(), weight.info->dtype, {1, inputs}), 0, w);
        for (size_t r = 0; r < rows.size(); ++r) {
          float sum = 0;
          for (size_t k = 0; k < w.size(); ++k) sum = std::fma(w[k], rows[r][k], sum);
          sums[r][static_cast<size_t>(n)] = bias.empty() ? sum : sum + bias[static_cast<size_t>(n)];
        }
      }
    });
    for (const Status& status : statuses) TARE_RETURN_IF_ERROR(status);
    for (int64_t r = 0; r < x.rows(); ++r) store_row(out, r, sums[static_cast<size_t>(r)]);
  }
  return {};
}

Verdict supports(const Linear&, const Problem& problem) {
  LinearShape shape;
  return read_shape(problem, Tail::none, shape);
}

}  // namespace

std::unique_ptr<KernelCandidate> make_reference() {
  return cpu_kernel<Linear>({.id = "linear.cpu_reference",
                             .numerics = "k-seq-fma",
                             .run = multiply,
                             .supports = supports,
                             .layouts = {"*"},
                             .reference = true});
}

}  // namespace tare::linear
