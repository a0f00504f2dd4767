// The skeleton that people copy: an op of one's own and the CPU kernel that runs it. Keep what you need of it; a plugin
// may bring one thing only.
#include <algorithm>
#include <vector>

#include "core/api/api.hpp"
#include "core/api/cpu_kernel.hpp"

namespace {

// An op is a struct of what its author sets, with a name and a revision. A model records it by
//   graph.record(Clamp{.low = 0, .high = 6}, ...)
// out = round(min(max(x, low), high)), element by element
struct Clamp {
  static constexpr std::string_view kOp = "org.example.clamp/1";
  float low = 0, high = 1;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("low", self.low), visit("high", self.high);
  }
};

// What the host must know of it: results from inputs, or one sentence that says what was wanted and what was found.
tare::Result<tare::OpResults> infer(const tare::OpCallInfo& call) {
  if (call.inputs.size() != 1) return tare::invalid("clamp takes one tensor, found ", call.inputs.size());
  return tare::OpResults{.results = {call.inputs[0]}, .state_parts = {}, .weight_inputs = {}};
}

tare::Verdict supports(const Clamp& op, const tare::Problem&) {
  if (op.low > op.high) return tare::Verdict::no("low = ", op.low, " is more than high = ", op.high);
  return tare::Verdict::yes();
}

// One launch: rows are shared out over the device's threads.
tare::Status run(const tare::CpuCall<Clamp>& call) {
  const tare::TensorView &x = call.launch.inputs[0], &out = call.launch.outputs[0];
  const auto width = static_cast<size_t>(out.row_elements());
  call.parallel.run(out.rows(), 16, [&](int64_t begin, int64_t end, int32_t) {
    std::vector<float> row(width);
    for (int64_t r = begin; r < end; ++r) {
      tare::load_row(x, r, row);
      for (float& value : row) value = std::min(std::max(value, call.op.low), call.op.high);
      tare::store_row(out, r, row);
    }
  });
  return {};
}

// Called once, after the host has compared the descriptor. Do nothing else here: no files, no threads, no devices.
tare::Status register_plugin(tare::Registrar& registrar) {
  if (auto* log = registrar.query<tare::Log>()) log->debug("the template is here");
  registrar.add_op({.op = std::string(Clamp::kOp), .elementwise = true, .infer = infer});
  registrar.add_kernel(
      tare::cpu_kernel<Clamp>({.id = "org.example.clamp.cpu", .numerics = "exact", .run = run, .supports = supports}));
  return {};
}

}  // namespace

TARE_PLUGIN("org.example.template", "0.1.0", register_plugin)
