// org.example.linear.row12: products by rows that lie in row12 or plain. It decodes a row and multiplies every row of x
// by it: one order of sums whatever the layout and however many rows, so the tokens are the same too.
#include "core/api/cpu_kernel.hpp"
#include "core/api/ops.hpp"
#include "row12.hpp"

namespace org_example {
namespace {
using tare::DType;
using tare::Linear;
using tare::Problem;
using tare::Status;
using tare::Verdict;

Status multiply(const tare::CpuCall<Linear>& call) {
  const tare::TensorView& x = call.launch.inputs[0];
  for (size_t i = 0; i < call.launch.outputs.size(); ++i) {
    const tare::WeightView& weight = call.launch.weights[2 * i];
    const tare::TensorView& out = call.launch.outputs[i];
    const int64_t inputs = weight.info->inputs(), outputs = weight.info->outputs(), rows = x.rows();
    TARE_ASSIGN_OR_RETURN(const std::vector<float> bias, tare::load_weight(call.launch.weights[2 * i + 1]));
    std::vector<float> xs(static_cast<size_t>(rows * inputs)), sums(static_cast<size_t>(rows * outputs));
    for (int64_t r = 0; r < rows; ++r) load_row(x, r, {xs.data() + r * inputs, static_cast<size_t>(inputs)});
    call.parallel.run(outputs, 16, [&](int64_t begin, int64_t end, int32_t) {
      std::vector<uint16_t> row(static_cast<size_t>(inputs));
      std::vector<float> w(row.size());
      for (int64_t n = begin; n < end; ++n) {
        if (weight.layout == kRow12)
          Row12Matrix(weight.data, inputs).decode_row(n, row.data());
        else
          std::memcpy(row.data(), static_cast<const uint16_t*>(weight.data) + n * inputs, row.size() * 2);
        for (size_t k = 0; k < row.size(); ++k) w[k] = to_float(tare::bf16{row[k]});
        for (int64_t r = 0; r < rows; ++r) {
          float sum = 0;
          for (size_t k = 0; k < w.size(); ++k) sum += w[k] * xs[static_cast<size_t>(r * inputs) + k];
          sums[static_cast<size_t>(r * outputs + n)] = sum + (bias.empty() ? 0 : bias[static_cast<size_t>(n)]);
        }
      }
    });
    for (int64_t r = 0; r < rows; ++r) store_row(out, r, {sums.data() + r * outputs, static_cast<size_t>(outputs)});
  }
  return {};
}

Verdict supports(const Linear&, const Problem& problem) {
  const tare::ProblemOp& op = problem.first();
  if (op.inputs.size() != 1 || op.weights.size() != 2 * op.results.size())
    return Verdict::no(op.weights.size(), " weights for ", op.results.size(), " results");
  for (size_t i = 0; i < op.weights.size(); i += 2)
    if (!op.weights[i] || op.weights[i]->dtype != DType::bf16) return Verdict::no("a weight is not bf16");
  return Verdict::yes();
}

}  // namespace

std::unique_ptr<tare::KernelCandidate> make_row12_kernel() {
  return tare::cpu_kernel<Linear>({.id = "org.example.linear.row12",
                                   .numerics = "org.example.k-seq",
                                   .run = multiply,
                                   .supports = supports,
                                   .layouts = {std::string(kRow12), "dense/rows"}});
}

}  // namespace org_example
