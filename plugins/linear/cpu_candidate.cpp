#include "plugins/linear/cpu_candidate.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <utility>

#include "plugins/linear/cpu_layouts.hpp"
#include "plugins/linear/kernel_hash.hpp"

namespace tare::linear {
namespace {

// Activation tables, made when first needed, one for each activation, for as long as an instance uses it.
class Tables {
 public:
  std::shared_ptr<const ActivationTable> get(Activation activation) {
    const std::lock_guard lock(mutex_);
    auto& kept = tables_[activation];
    auto table = kept.lock();
    if (table == nullptr) kept = table = std::make_shared<const ActivationTable>(activation);
    return table;
  }

 private:
  std::mutex mutex_;
  std::map<Activation, std::weak_ptr<const ActivationTable>> tables_;
};

class Candidate final : public KernelCandidate {
 public:
  Candidate(std::shared_ptr<const CpuBackend> backend, Tail tail)
      : backend_(std::move(backend)), tail_(tail), id_(text(backend_->id(), name(tail))) {}

  std::string_view id() const noexcept override { return id_; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  std::vector<std::string> takes() const override { return chain_of(tail_); }
  Verdict supports(const Problem& problem) const noexcept override {
    LinearShape shape;
    if (Verdict v = read_shape(problem, tail_, shape); !v) return v;
    if (shape.products.size() > 16) return Verdict::no(shape.products.size(), " stacked products, at most 16");
    if (shape.weight != DType::bf16 && shape.weight != DType::f32)
      return Verdict::no("weights are ", tare::name(shape.weight), ", expected bf16 or f32");
    for (const Product& p : shape.products)
      if (tail_ == Tail::none && p.result != shape.out) return Verdict::no("stacked results differ in type");
    return backend_->supports(problem, shape);
  }
  std::string numerics(const Problem& problem) const override { return backend_->numerics(problem); }
  std::vector<std::string> layouts(const Problem&, size_t, size_t position) const override {
    return {std::string(position % 2 == 0 ? backend_->layout() : kRows)};
  }
  KernelConfig fallback(const Problem& problem) const override {
    LinearShape shape;
    (void)read_shape(problem, tail_, shape);
    return print(within(backend_->fallback(shape, problem.rows)), CpuTarget::best);
  }
  std::vector<KernelConfig> space(const Problem& problem) const override {
    LinearShape shape;
    (void)read_shape(problem, tail_, shape);
    std::vector<KernelConfig> out{fallback(problem)};
    for (const CpuConfig& config : backend_->space(shape, problem.rows)) {
      KernelConfig printed = print(within(config), CpuTarget::best);
      if (std::ranges::find(out, printed) == out.end()) out.push_back(std::move(printed));
    }
    if (backend_->chooses_target())  // the widest vectors are not always the fastest
      for (const CpuTarget target : allowed_targets(problem)) {
        KernelConfig printed = print(within(backend_->fallback(shape, problem.rows)), target);
        if (target != allowed_targets(problem).front()) out.push_back(std::move(printed));
      }
    return out;
  }
  Verdict accepts(const Problem& problem, const KernelConfig& config) const noexcept override {
    const auto read = parse(config);
    if (!read.ok()) return Verdict::no(read.status().message());
    const auto allowed = allowed_targets(problem);
    if (read->target != CpuTarget::best && std::ranges::find(allowed, read->target) == allowed.end())
      return Verdict::no("target ", kCpuTargetNames[static_cast<size_t>(read->target)],
                         " is not one that this CPU has and that adds alike");
    return fits_driver(read->common, tail_);
  }
  int64_t scratch_bytes(const Problem& problem, const KernelConfig&) const override {
    LinearShape shape;
    (void)read_shape(problem, tail_, shape);
    return driver_scratch_bytes(*backend_->multiplier(problem, CpuTarget::best), problem.rows, shape.inputs);
  }
  std::string hash() const override { return std::string(kernel_hash(backend_->id())); }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig& config) const override {
    DriverParts parts;
    if (Verdict v = supports(problem); !v) return failure(Code::unsupported, id_, ": ", v.reason);
    if (Verdict v = accepts(problem, config); !v) return failure(Code::invalid, id_, ": ", v.reason);
    (void)read_shape(problem, tail_, parts.shape);
    TARE_ASSIGN_OR_RETURN(const HighwayConfig read, parse(config));
    const CpuTarget target = read.target == CpuTarget::best ? best_cpu_target(problem.features) : read.target;
    parts.config = read.common;
    parts.multiplier = backend_->multiplier(problem, target);
    parts.finish = finish_for(target);
    if (tail_ == Tail::gated && parts.shape.out == DType::bf16) parts.table = tables_->get(parts.shape.activation);
    return make_driver(device, std::move(parts));
  }

 private:
  // A backend proposes for the plain product; a chain with twice the sums takes half the strips.
  CpuConfig within(CpuConfig config) const noexcept {
    while (!fits_driver(config, tail_) && config.strips > 1) config.strips /= 2;
    while (!fits_driver(config, tail_) && config.rows > 32) config.rows = config.rows / 64 * 32;
    return config;
  }
  KernelConfig print(const CpuConfig& config, CpuTarget target) const {
    return backend_->chooses_target() ? to_attributes(HighwayConfig{config, target}) : to_attributes(config);
  }
  Result<HighwayConfig> parse(const KernelConfig& config) const {
    if (backend_->chooses_target()) return from_attributes<HighwayConfig>(config);
    TARE_ASSIGN_OR_RETURN(const CpuConfig common, from_attributes<CpuConfig>(config));
    return HighwayConfig{common, CpuTarget::best};
  }
  // Those that round as the best one does, so that a tuned choice keeps the numerics.
  static std::vector<CpuTarget> allowed_targets(const Problem& problem) {
    std::vector<CpuTarget> out = cpu_targets_for(problem.features);
    const bool fma = has_fma(out.front());
    std::erase_if(out, [fma](CpuTarget t) { return has_fma(t) != fma; });
    return out;
  }

  const std::shared_ptr<const CpuBackend> backend_;
  const Tail tail_;
  const std::string id_;
  const std::unique_ptr<Tables> tables_ = std::make_unique<Tables>();
};

}  // namespace

std::unique_ptr<KernelCandidate> make_candidate(std::shared_ptr<const CpuBackend> backend, Tail tail) {
  return std::make_unique<Candidate>(std::move(backend), tail);
}

}  // namespace tare::linear
