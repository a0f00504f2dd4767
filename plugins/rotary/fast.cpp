// rotary.cpu: cosines and sines from the step's shared table, vectors over pairs, threads over tokens.
#include "core/api/cpu_targets.hpp"
#include "plugins/rotary/rotary.hpp"
#include "plugins/rotary/tables.hpp"
#include "plugins/rotary/turn.hpp"

namespace tare::rotary {
namespace {

class FastRotary final : public Instance {
 public:
  FastRotary(const Rotary& op, std::shared_ptr<LatestTable> latest, TurnFunction function, CpuParallel& parallel)
      : op_(op), latest_(std::move(latest)), function_(function), parallel_(parallel) {}

  Status launch(const Launch& launch) noexcept override {
    try {
      return run(launch);
    } catch (const std::bad_alloc&) {
      return Status(Code::exhausted, "rotary/1: the process is out of memory");
    }
  }

 private:
  Status run(const Launch& launch) {
    const TensorView &x = launch.inputs[0], &out = launch.outputs[0];
    const int64_t elements = x.row_elements(), width = x.sizes[x.rank - 1], rows = x.rows();
    if (out.row_elements() != elements || x.dtype != out.dtype)
      return Status(Code::internal, text("rotary: x is ", to_string(x), ", the result ", to_string(out)));
    if (rows == 0) return {};
    const auto table = latest_->of({launch.step.positions, static_cast<size_t>(rows)}, parallel_);
    const int64_t pairs = std::ssize(latest_->frequencies()), bytes = size_of(x.dtype);
    const auto body = [&](int64_t begin, int64_t end, int32_t) {
      Turn t{.bf16 = x.dtype == DType::bf16,
             .neighbours = op_.pairs == Rotary::Pairs::neighbours,
             .heads = elements / width,
             .width = width,
             .first = op_.first,
             .pairs = pairs,
             .magnitude = op_.magnitude};
      for (int64_t r = begin; r < end; ++r) {
        t.x = x.row<std::byte>(0) + r * x.row_stride * bytes;
        t.out = out.row<std::byte>(0) + r * out.row_stride * bytes;
        t.cosine = table->cosine.data() + r * pairs, t.sine = table->sine.data() + r * pairs;
        function_(t);
      }
    };
    if (rows == 1)
      body(0, 1, 0);
    else
      parallel_.run(rows, std::max<int64_t>(1, kGrain / elements), body);
    return {};
  }

  static constexpr int64_t kGrain = 32768;  // elements that are worth waking a thread
  Rotary op_;
  std::shared_ptr<LatestTable> latest_;
  TurnFunction function_;
  CpuParallel& parallel_;
};

class Candidate final : public KernelCandidate {
 public:
  std::string_view id() const noexcept override { return "rotary.cpu"; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  std::vector<std::string> takes() const override { return {std::string(Rotary::kOp)}; }
  std::string numerics(const Problem&) const override { return "exact"; }
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return {"*"}; }
  KernelConfig fallback(const Problem&) const override { return {}; }
  Verdict supports(const Problem& problem) const noexcept override {
    const auto op = from_attributes<Rotary>(problem.first().attributes);
    if (!op.ok()) return Verdict::no(op.status().message());
    if (Verdict v = rotary::supports(*op, problem); !v) return v;
    const ProblemOp& p = problem.first();
    return p.inputs[0].dtype == p.results[0].dtype ? Verdict::yes() : Verdict::no("x and the result differ in type");
  }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig&) const override {
    TARE_ASSIGN_OR_RETURN(const Rotary op, from_attributes<Rotary>(problem.first().attributes));
    auto* parallel = static_cast<CpuParallel*>(device.query(CpuParallel::kInterface));
    if (parallel == nullptr) return Status(Code::unsupported, "rotary.cpu: the device has no cpu_parallel/1");
    return std::unique_ptr<Instance>(
        std::make_unique<FastRotary>(op, tables_->by(problem.constants[static_cast<size_t>(op.frequencies.id)]),
                                     turn_function(best_cpu_target(problem.features)), *parallel));
  }

 private:
  std::shared_ptr<Tables> tables_ = std::make_shared<Tables>();
};

}  // namespace

std::unique_ptr<KernelCandidate> fast_candidate() { return std::make_unique<Candidate>(); }

}  // namespace tare::rotary
