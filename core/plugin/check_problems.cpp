// Problems to ask kernels about: a plausible one for each op of the vocabulary, and what no model would ever say.
#include "core/api/ops.hpp"
#include "core/plugin/check_parts.hpp"

namespace tare {
namespace {

constexpr int64_t kHidden = 256, kOut = 128, kVocab = 512, kHeads = 4, kKvHeads = 2, kHeadDim = 64;

TensorInfo rows_of(std::initializer_list<Dim> dims, Axis rows = Axis::tokens, DType dtype = DType::bf16) {
  Shape shape{{1, rows}};
  shape.insert(shape.end(), dims.begin(), dims.end());
  return {shape, dtype};
}
std::optional<WeightInfo> weight(Shape shape, int64_t input_dims) {
  return WeightInfo{.name = "weight", .dtype = DType::bf16, .shape = std::move(shape), .input_dims = input_dims};
}

ProblemOp plausible(const std::string& op) {
  const TensorInfo x = rows_of({kHidden});
  const TensorInfo q = rows_of({{kHeads, Axis::heads}, kHeadDim}), kv = rows_of({{kKvHeads, Axis::kv_heads}, kHeadDim});
  ProblemOp out;
  out.op = op;
  out.inputs = {x}, out.results = {x};
  if (op == Embed::kOp) {
    out.inputs.clear();
    out.weights = {weight({{kVocab, Axis::vocab}, kHidden}, 0)};
  } else if (op == Linear::kOp) {
    out.attributes = to_attributes(Linear{});
    out.weights = {weight({kOut, kHidden}, 1), std::nullopt};
    out.results = {rows_of({kOut})};
  } else if (op == Norm::kOp) {
    out.attributes = to_attributes(Norm{});
    out.weights = {weight({kHidden}, 0), std::nullopt};
  } else if (op == Rotary::kOp) {
    out.attributes = to_attributes(Rotary{.width = kHeadDim, .frequencies = {0}});
    out.inputs = out.results = {q};
  } else if (op == Attention::kOp) {
    out.attributes = to_attributes(Attention{.scale = 0.125f});
    out.inputs = {q, kv, kv}, out.results = {q};
    out.state = full();
  } else if (op == Gated::kOp) {
    out.attributes = to_attributes(Gated{});
    out.inputs = {x, x};
  } else if (op == Activate::kOp) {
    out.attributes = to_attributes(Activate{});
  } else if (op == Scale::kOp) {
    out.attributes = to_attributes(Scale{});
  } else if (op == SoftCap::kOp) {
    out.attributes = to_attributes(SoftCap{.cap = 30});
  } else if (op == Add::kOp) {
    out.inputs = {x, x};
  } else if (op == Concat::kOp) {
    out.inputs = {x, x}, out.results = {rows_of({2 * kHidden})};
  } else if (op == LogitRows::kOp) {
    out.results = {rows_of({kHidden}, Axis::logit_rows)};
  } else if (op == Sample::kOp) {
    out.inputs = {rows_of({{kVocab, Axis::vocab}}, Axis::logit_rows, DType::f32)};
    out.results = {rows_of({}, Axis::logit_rows, DType::i32)};
  }
  return out;
}

// Makes `next` take what `before` gives. A gate takes two results: a product before it becomes a stacked one.
void follow(ProblemOp& before, ProblemOp& next) {
  if (next.inputs.empty() || before.results.empty()) return;
  if (next.op == Gated::kOp && before.op == Linear::kOp && before.results.size() == 1) {
    before.weights.insert(before.weights.end(), {before.weights[0], std::nullopt});
    before.results.push_back(before.results[0]);
  }
  next.inputs[0] = before.results[0];
  next.chain_input = 0;
  next.chain_results.assign(next.inputs.size(), -1);
  next.chain_results[0] = 0;
  if (next.op == Gated::kOp && before.results.size() > 1) next.chain_results[1] = 1;
  if (next.op == Add::kOp || next.op == Gated::kOp) next.inputs[1] = next.inputs[0];
  if (next.op != Linear::kOp) next.results[0] = next.inputs[0];
}

const std::vector<std::vector<float>>& constants() {
  static const std::vector<std::vector<float>> tables{std::vector<float>(kHeadDim / 2, 0.5f)};
  return tables;
}

void set_dtype(Problem& problem, DType dtype) {
  for (ProblemOp& op : problem.ops) {
    for (TensorInfo& t : op.inputs) t.dtype = dtype;
    for (TensorInfo& t : op.results) t.dtype = dtype;
    for (auto& w : op.weights)
      if (w) w->dtype = dtype;
  }
}
void set_last_dim(Problem& problem, int64_t size) {
  const auto set = [&](Shape& shape) {
    if (!shape.empty()) shape.back().size = size;
  };
  for (ProblemOp& op : problem.ops) {
    for (TensorInfo& t : op.inputs) set(t.shape);
    for (TensorInfo& t : op.results) set(t.shape);
    for (auto& w : op.weights)
      if (w) set(w->shape);
  }
}

}  // namespace

std::vector<OddProblem> odd_problems(const std::vector<std::string>& chain, std::string_view device_kind) {
  Problem base;
  base.device_kind = device_kind;
  // A CPU that has everything, in the CPU device's words.
  base.features = {"amx_bf16",     "amx_int8",    "amx_tile", "avx",      "avx2",    "avx512_bf16", "avx512_fp16",
                   "avx512_vbmi2", "avx512_vnni", "avx512bw", "avx512dq", "avx512f", "avx512vbmi",  "avx512vl",
                   "avx_vnni",     "bmi2",        "f16c",     "fma",      "sse4_1",  "sse4_2",      "ssse3"};
  base.constants = constants();
  for (const std::string& op : chain) {
    ProblemOp next = plausible(op);
    if (!base.ops.empty()) follow(base.ops.back(), next);
    base.ops.push_back(std::move(next));
  }
  std::vector<OddProblem> out;
  const auto add = [&](std::string what, auto change) {
    OddProblem odd{std::move(what), base};
    change(odd.problem);
    out.push_back(std::move(odd));
  };
  add("a plausible problem", [](Problem&) {});
  add("f32 numbers", [](Problem& p) { set_dtype(p, DType::f32); });
  for (int64_t rows : {7, 512}) add(text(rows, " rows"), [&](Problem& p) { p.rows = rows; });
  add("a Plan that is not deterministic", [](Problem& p) { p.deterministic = false; });
  add("a device without features", [](Problem& p) { p.features.clear(); });
  // Fresh vectors: a cleared one keeps its memory and would forgive a look behind its end.
  add("no inputs", [](Problem& p) { p.ops[0].inputs = std::vector<TensorInfo>(); });
  add("no results", [](Problem& p) { p.ops[0].results = std::vector<TensorInfo>(); });
  add("no weights", [](Problem& p) { p.ops[0].weights = std::vector<std::optional<WeightInfo>>(); });
  add("absent weights", [](Problem& p) {
    for (auto& w : p.ops[0].weights) w.reset();
  });
  add("no attributes", [](Problem& p) { p.ops[0].attributes = Attributes(); });
  add("an unknown attribute", [](Problem& p) { p.ops[0].attributes = {{"no_such_field", true}}; });
  add("attributes of the wrong type", [](Problem& p) {
    for (Attribute& a : p.ops[0].attributes) a.value = std::string("odd");
  });
  add("no state", [](Problem& p) { p.ops[0].state.reset(); });
  add("tensors of rank 0", [](Problem& p) {
    for (TensorInfo& t : p.ops[0].inputs) t.shape = Shape();
    for (TensorInfo& t : p.ops[0].results) t.shape = Shape();
  });
  add("tensors of rank 6", [](Problem& p) {
    for (TensorInfo& t : p.ops[0].inputs) t.shape.insert(t.shape.end(), 4, Dim(2));
  });
  for (int64_t size : {int64_t{0}, int64_t{1}, int64_t{33}, int64_t{1} << 40})
    add(text("a last dimension of ", size), [&](Problem& p) { set_last_dim(p, size); });
  for (DType dtype : {DType::f16, DType::i32, DType::i64, DType::u8})
    add(text(name(dtype), " numbers"), [&](Problem& p) { set_dtype(p, dtype); });
  add("no tables", [](Problem& p) { p.constants = {}; });
  return out;
}

}  // namespace tare
