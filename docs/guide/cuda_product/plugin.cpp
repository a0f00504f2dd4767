// Products of sizes that fill no records: Tare's own fast kernels want 64 columns and 16 rows at a time and leave other
// matrices to a slow one. This kernel takes those, has a space of configs, and is measured by `tare autotune`.
#include "core/api/plugin.hpp"

#include "core/api/api.hpp"
#include "core/api/ops.hpp"
#include "jit/cuda_kernel.hpp"
#include "jit/source_hash.hpp"
#include "product_arguments.hpp"

namespace tare::jit {
SourceBundle guide_product_bundle();  // made by tare_cuda_bundle() in CMakeLists.txt
}

namespace org_example {
namespace {

using tare::DType;
using tare::Linear;
using tare::Problem;
using tare::TensorView;
using tare::Verdict;

struct ProductConfig {
  int64_t rows = 2, tokens = 4, warps = 8;  // outputs and tokens of a warp, warps of a block
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("rows", self.rows), visit("tokens", self.tokens), visit("warps", self.warps);
  }
};
using Call = tare::jit::CudaCall<Linear, ProductConfig>;

bool fills_records(const tare::WeightInfo& w) { return w.inputs() % 64 == 0 && w.outputs() % 16 == 0; }

Verdict supports(const Linear&, const Problem& problem) {
  const tare::ProblemOp& p = problem.first();
  if (p.inputs.size() != 1 || p.weights.size() != 2 * p.results.size())
    return Verdict::no(p.inputs.size(), " inputs and ", p.weights.size(), " weights, expected 1 and two a result");
  if (p.inputs[0].dtype != DType::bf16) return Verdict::no("x is ", name(p.inputs[0].dtype), ", expected bf16");
  if (problem.rows > 65535) return Verdict::no(problem.rows, " rows, expected 65535 or fewer");
  bool odd = false;
  for (size_t i = 0; i < p.results.size(); ++i) {
    const auto &weight = p.weights[2 * i], &bias = p.weights[2 * i + 1];
    if (!weight) return Verdict::no("weight ", 2 * i, " is absent");
    if (weight->dtype != DType::bf16 || (bias && bias->dtype != DType::bf16))
      return Verdict::no(weight->name, " or its bias is not bf16");
    if (p.results[i].dtype == DType::i32) return Verdict::no("a result is i32");
    odd = odd || !fills_records(*weight);
  }
  return odd ? Verdict::yes() : Verdict::no("the matrices fill records: the built-in kernels are faster");
}

// The first is what runs where nothing was measured.
std::vector<ProductConfig> space(const Linear&, const Problem& problem) {
  std::vector<ProductConfig> out;
  for (const int64_t rows : {2, 1, 4})
    for (const int64_t warps : {8, 4}) out.push_back({rows, problem.rows == 1 ? 1 : problem.rows <= 4 ? 4 : 8, warps});
  return out;
}

// What a database brings back: each value is one that the kernel is compiled for.
Verdict accepts(const Linear&, const Problem&, const ProductConfig& c) {
  if ((c.rows == 1 || c.rows == 2 || c.rows == 4) && (c.tokens == 1 || c.tokens == 4 || c.tokens == 8) &&
      c.warps >= 1 && c.warps <= 16)
    return Verdict::yes();
  return Verdict::no("rows ", c.rows, ", tokens ", c.tokens, ", warps ", c.warps,
                     ": expected 1, 2, 4; 1, 4, 8; 1 to 16");
}

// One kernel a product of the stack: their results may differ in type.
std::vector<tare::jit::KernelUse> kernels(const Linear&, const ProductConfig& c, const Problem& problem) {
  std::vector<tare::jit::KernelUse> out;
  for (const tare::TensorInfo& result : problem.first().results)
    out.push_back({"product.cuh", tare::text("org_example::product<", c.rows, ", ", c.tokens, ", ", c.warps, ", ",
                                             result.dtype == DType::f32 ? "true" : "false", ">")});
  return out;
}

tare::Status run(const Call& call) {
  const TensorView& x = call.launch.inputs[0];
  const auto pieces = [](int64_t n, int64_t piece) { return static_cast<uint32_t>((n + piece - 1) / piece); };
  for (size_t i = 0; i < call.launch.outputs.size(); ++i) {
    const TensorView& y = call.launch.outputs[i];
    const tare::WeightView& weight = call.launch.weights[2 * i];
    const int64_t rows = weight.info->outputs(), columns = weight.info->inputs();
    const bool aligned = reinterpret_cast<uintptr_t>(x.data) % 16 == 0 && x.row_stride % kPiece == 0 &&
                         reinterpret_cast<uintptr_t>(weight.data) % 16 == 0 && columns % kPiece == 0;
    TARE_RETURN_IF_ERROR(
        call.start(i,
                   {.grid_x = pieces(rows, call.config.rows * call.config.warps),
                    .grid_y = pieces(x.rows(), call.config.tokens),
                    .threads = static_cast<uint32_t>(32 * call.config.warps)},
                   ProductArguments{static_cast<const uint16_t*>(x.data), static_cast<const uint16_t*>(weight.data),
                                    static_cast<const uint16_t*>(call.launch.weights[2 * i + 1].data), y.data, rows,
                                    columns, x.rows(), x.row_stride, y.row_stride, aligned}));
  }
  return {};
}

tare::Status register_kernels(tare::Registrar& registrar) {
  auto* jit = registrar.query<tare::jit::Jit>();
  if (jit == nullptr) return {};  // a host without GPU kernels
  TARE_RETURN_IF_ERROR(jit->add_bundle(tare::jit::guide_product_bundle()));
  registrar.add_kernel(tare::jit::cuda_kernel<Linear, ProductConfig>(
      *jit, {.id = "org.example.product.cuda",
             .numerics = "org.example-lanes8x32",  // one name for all configs: they give equal bits
             .kernels = kernels,
             .run = run,
             .supports = supports,
             .space = space,
             .accepts = accepts,
             .hash = tare::jit::source_hash(tare::jit::guide_product_bundle()),
             .replays = true}));
  return {};
}

}  // namespace
}  // namespace org_example

TARE_PLUGIN("org.example.product_cuda", "1.0.0", org_example::register_kernels)
