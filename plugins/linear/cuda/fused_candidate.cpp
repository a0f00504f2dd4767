// linear.cuda, and the same with an addition or a gated activation behind it.
#include <algorithm>

#include "core/api/ops.hpp"
#include "jit/cuda_kernel.hpp"
#include "jit/source_hash.hpp"
#include "plugins/linear/cuda/bundle.hpp"
#include "plugins/linear/cuda/candidates.hpp"
#include "plugins/linear/cuda/config_text.hpp"
#include "plugins/linear/cuda/fused_instance.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda {
namespace {

constexpr int32_t kUnknownMultiprocessors = 132;
// With more rows the tiles of gate and up together fill the device better than an epilogue saves (docs/benchmarks).
constexpr int64_t kMostGatedRows = 192;

class FusedCandidate final : public KernelCandidate {
 public:
  FusedCandidate(jit::Jit& jit, Tail tail) : jit_(jit), tail_(tail) {}
  std::string_view id() const noexcept override {
    constexpr std::string_view ids[] = {"linear.cuda", "linear.cuda+add", "linear.cuda+gated"};
    return ids[static_cast<size_t>(tail_)];
  }
  std::string_view device_kind() const noexcept override { return "cuda"; }
  std::vector<std::string> takes() const override {
    if (tail_ == Tail::none) return {std::string(Linear::kOp)};
    return {std::string(Linear::kOp), std::string(tail_ == Tail::add ? Add::kOp : Gated::kOp)};
  }
  std::string_view tuned_as() const noexcept override { return tail_ == Tail::none ? "" : "linear.cuda"; }
  std::string hash() const override { return sources_hash(); }

  Verdict supports(const Problem& problem) const noexcept override {
    if (Verdict v = jit::runs_on(problem, 80); !v) return v;
    LinearProblem p;
    if (Verdict v = read_problem(problem, tail_, p); !v) return v;
    if (tail_ == Tail::gated && problem.rows > kMostGatedRows)
      return Verdict::no(problem.rows, " rows: above ", kMostGatedRows, " gate and up go in one launch instead");
    if (p.x != DType::bf16) return Verdict::no("x is ", name(p.x), ", expected bf16");
    if (problem.rows < 1 || problem.rows > 1 << 22) return Verdict::no(problem.rows, " rows, expected 1 to 4194304");
    for (const auto& part : p.parts) {
      if (Verdict v = fits_records(part.weight); !v) return Verdict::no(part.weight.name, ": ", v.reason);
      if (part.bias && part.bias->dtype != DType::bf16)
        return Verdict::no(part.bias->name, " is ", name(part.bias->dtype), ", expected bf16");
    }
    return Verdict::yes();
  }
  // Leaves of 64-column chunks, added in order (README.md): the same at every number of rows and for every kernel.
  std::string numerics(const Problem& problem) const override {
    LinearProblem p;
    if (!read_problem(problem, tail_, p)) return "";
    std::string leaves;
    for (const auto& part : p.parts)
      leaves += text(leaves.empty() ? "" : ",", fits_records(part.weight) ? leaves_of(part.weight) : 0);
    return "chunks64-mma16-leaves" + leaves;
  }
  std::vector<std::string> layouts(const Problem&, size_t, size_t position) const override {
    if (position % 2 != 0) return {"dense/rows"};
    return {std::string(kW12Strips), std::string(kW11Strips), std::string(kDenseStrips)};
  }
  KernelConfig fallback(const Problem& problem) const override { return space(problem).front(); }
  std::vector<KernelConfig> space(const Problem& problem) const override {
    std::vector<KernelConfig> out;
    LinearProblem p;
    if (supports(problem) && read_problem(problem, tail_, p)) {
      for (const AnyConfig& c :
           configs_for(p, static_cast<int32_t>(problem.rows), multiprocessors_of(problem), architecture(problem)))
        if (KernelConfig printed = to_config(c); !printed.empty()) out.push_back(std::move(printed));
    }
    if (out.empty()) out.push_back(to_config(PortableConfig{}));
    return out;
  }
  Verdict accepts(const Problem& problem, const KernelConfig& config) const noexcept override {
    const auto parsed = from_config(config);
    if (!parsed.ok()) return Verdict::no(parsed.status().message());
    if (is_gated(*parsed) && tail_ != Tail::gated) return Verdict::no("the kernel is for gate and up");
    LinearProblem p;
    if (Verdict v = read_problem(problem, tail_, p); !v) return v;
    Verdict last = Verdict::no("there is no matrix");
    for (const auto& part : p.parts) {
      if (!fits_records(part.weight)) return fits_records(part.weight);
      const MatrixShape shape = expected_shape(part.weight);
      last = linear_cuda::accepts(adapted(*parsed, shape), shape, static_cast<int32_t>(problem.rows),
                                  multiprocessors_of(problem));
      if (last && needs_f32(part) && !writes_f32(*parsed))
        last = Verdict::no("the kernel writes bf16, ", part.weight.name, " wants f32");
      if (last) return last;  // the others of the stack have a rule of their own
    }
    return last;
  }
  int64_t scratch_bytes(const Problem& problem, const KernelConfig& config) const override {
    LinearProblem p;
    const auto parsed = from_config(config);
    if (!parsed.ok() || !supports(problem) || !read_problem(problem, tail_, p)) return 0;
    return workspace_bytes(p, *parsed, static_cast<int32_t>(problem.rows), multiprocessors_of(problem),
                           architecture(problem));
  }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig& config) const override {
    if (Verdict v = supports(problem); !v) return failure(Code::unsupported, id(), ": ", v.reason);
    if (Verdict v = accepts(problem, config); !v) return failure(Code::invalid, id(), ": ", v.reason);
    auto* launcher = static_cast<jit::CudaLaunch*>(device.query(jit::CudaLaunch::kInterface));
    if (launcher == nullptr) return failure(Code::unsupported, id(), ": ", device.info().id, " has no cuda_launch/1");
    LinearProblem p;
    (void)read_problem(problem, tail_, p);
    TARE_ASSIGN_OR_RETURN(const AnyConfig parsed, from_config(config));
    return make_fused_instance(jit_, device, *launcher, std::move(p), parsed, static_cast<int32_t>(problem.rows));
  }

 private:
  static int32_t multiprocessors_of(const Problem& problem) noexcept {
    return problem.units > 0 ? problem.units : kUnknownMultiprocessors;
  }
  static std::string_view architecture(const Problem& problem) noexcept {
    const std::string_view found = jit::architecture_of(problem.features);
    return found.empty() ? "sm_80" : found;
  }
  jit::Jit& jit_;
  const Tail tail_;
};

}  // namespace

const std::string& sources_hash() {
  static const std::string hash = jit::source_hash(jit::linear_bundle());
  return hash;
}
std::unique_ptr<KernelCandidate> make_fused_candidate(jit::Jit& jit, Tail tail) {
  return std::make_unique<FusedCandidate>(jit, tail);
}

}  // namespace tare::linear_cuda
