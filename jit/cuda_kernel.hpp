// A short way to write a CUDA kernel for one op: which kernels it needs, and a function of (op, config, problem,
// launch) that launches them, wrapped as a KernelCandidate. Header-only, for plugin authors; names no CUDA type. Thread
// rule: as kernel.hpp has it. Kernels are compiled when an instance is made.
#pragma once
#include <algorithm>
#include <charconv>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/api/kernel.hpp"
#include "jit/cuda_launch.hpp"
#include "jit/jit.hpp"

namespace tare::jit {

// The architecture among a device's features ("sm_90a" gives 90), or 0.
inline int compute_capability(std::span<const std::string> features) noexcept {
  for (const std::string& f : features) {
    int value = 0;
    if (f.starts_with("sm_") && std::from_chars(f.data() + 3, f.data() + f.size(), value).ec == std::errc())
      return value;
  }
  return 0;
}
inline std::string_view architecture_of(std::span<const std::string> features) noexcept {
  for (const std::string& f : features)
    if (f.starts_with("sm_")) return f;
  return "";
}
// What kernels are compiled for on a device of architecture "sm90": exactly that, from 9.0 on with the "a" features
// (wgmma). "sm_90a".
inline std::string compiled_for(std::string_view architecture) {
  const std::string number(architecture.substr(std::min<size_t>(2, architecture.size())));
  return "sm_" + number + (number.size() > 2 || number >= "90" ? "a" : "");
}
// No where the device is known to be older than `least` (80: sm_80).
inline Verdict runs_on(const Problem& problem, int least) {
  const int have = compute_capability(problem.features);
  if (have == 0 || have >= least) return Verdict::yes();
  return Verdict::no("the GPU is sm_", have, ", expected sm_", least, " or newer");
}

// One kernel that an instance launches.
struct KernelUse {
  std::string source, expression;  // as in KernelRequest
  uint32_t shared_bytes = 0;       // the most dynamic shared memory that launches ask for
};
struct NoConfig {
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&&) {}
};

// Compiles and loads kernels for `device`; by position. A device without cuda_launch/1 is refused.
inline Result<std::vector<std::shared_ptr<CudaKernel>>> load_kernels(Jit& jit, Device& device,
                                                                     std::span<const KernelUse> uses) {
  auto* launcher = static_cast<CudaLaunch*>(device.query(CudaLaunch::kInterface));
  if (launcher == nullptr) return Status(Code::unsupported, text(device.info().id, " has no cuda_launch/1"));
  std::vector<std::shared_ptr<CudaKernel>> out;
  for (const KernelUse& use : uses) {
    TARE_ASSIGN_OR_RETURN(const auto compiled,
                          jit.compile({use.source, use.expression, std::string(launcher->architecture())}));
    TARE_ASSIGN_OR_RETURN(auto kernel, launcher->load(*compiled, use.shared_bytes));
    out.push_back(std::move(kernel));
  }
  return out;
}

template <class Op, class Config = NoConfig>
struct CudaCall {
  const Op& op;
  const Config& config;
  const Problem& problem;
  const Launch& launch;
  CudaLaunch& launcher;
  std::span<const std::shared_ptr<CudaKernel>> kernels;
  bool dependent = false;

  // Launches kernel `which`, whose one parameter is a struct by value. Nothing to do when the grid is empty.
  template <class Arguments>
  Status start(size_t which, const LaunchShape& shape, Arguments arguments) const {
    if (shape.grid_x == 0 || shape.grid_y == 0 || shape.grid_z == 0) return {};
    LaunchShape whole = shape;
    whole.dependent = shape.dependent || dependent;
    void* pointers[] = {&arguments};
    return launcher.launch(launch.stream, *kernels[which], whole, pointers);
  }
};

template <class Op, class Config = NoConfig>
struct CudaKernelSpec {
  std::string_view id;        // "norm.cuda"
  std::string_view numerics;  // the order of its sums; kernels with one id give equal bits
  std::vector<KernelUse> (*kernels)(const Op&, const Config&, const Problem&) = nullptr;
  Status (*run)(const CudaCall<Op, Config>&) = nullptr;                    // must not throw but std::bad_alloc
  Verdict (*supports)(const Op&, const Problem&) = nullptr;                // null: everything with float tensors
  std::vector<Config> (*space)(const Op&, const Problem&) = nullptr;       // what a tuner may try, the fallback first
  Verdict (*accepts)(const Op&, const Problem&, const Config&) = nullptr;  // null: every config that can be read
  std::vector<std::string> layouts{"dense/rows"};                          // of its weights
  std::string hash = {};                                                   // of its sources
  bool reference = false;
  // Every kernel calls begin_overlapped() or wait_for_inputs() in each of its blocks (jit/cuh/launch.cuh), so that it
  // may be launched while the kernel ahead still runs.
  bool dependent = false;
  bool replays = false;  // Instance::replays(): run() does nothing but start()
};

template <class Op, class Config = NoConfig>
class CudaOpKernel final : public KernelCandidate {
 public:
  CudaOpKernel(Jit& jit, CudaKernelSpec<Op, Config> spec) : jit_(jit), spec_(std::move(spec)) {}
  std::string_view id() const noexcept override { return spec_.id; }
  std::string_view device_kind() const noexcept override { return "cuda"; }
  std::vector<std::string> takes() const override { return {std::string(Op::kOp)}; }
  bool is_reference() const noexcept override { return spec_.reference; }
  std::string numerics(const Problem&) const override { return std::string(spec_.numerics); }
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return spec_.layouts; }
  std::string hash() const override { return spec_.hash; }
  KernelConfig fallback(const Problem& problem) const override { return space(problem).front(); }
  std::vector<KernelConfig> space(const Problem& problem) const override {
    const auto op = from_attributes<Op>(problem.first().attributes);
    if (spec_.space == nullptr || !op.ok()) return {to_attributes(Config{})};
    std::vector<KernelConfig> out;
    for (const Config& config : spec_.space(*op, problem)) out.push_back(to_attributes(config));
    return out;
  }
  Verdict accepts(const Problem& problem, const KernelConfig& config) const noexcept override {
    const auto op = from_attributes<Op>(problem.first().attributes);
    const auto parsed = from_attributes<Config>(config);
    if (!op.ok()) return Verdict::no(op.status().message());
    if (!parsed.ok()) return Verdict::no(parsed.status().message());
    return spec_.accepts != nullptr ? spec_.accepts(*op, problem, *parsed) : Verdict::yes();
  }
  Verdict supports(const Problem& problem) const noexcept override {
    if (Verdict v = runs_on(problem, 80); !v) return v;
    for (const auto* side : {&problem.first().inputs, &problem.first().results})
      for (const TensorInfo& t : *side) {
        if (t.dtype != DType::bf16 && t.dtype != DType::f32 && t.dtype != DType::i32)
          return Verdict::no("a tensor is ", name(t.dtype), ", expected bf16 or f32");
        if (t.shape.empty() || t.shape.size() > 4)
          return Verdict::no("a tensor has ", t.shape.size(), " dimensions, expected 1 to 4");
      }
    if (problem.first().results.empty()) return Verdict::no("there is no result");
    const auto op = from_attributes<Op>(problem.first().attributes);
    if (!op.ok()) return Verdict::no(op.status().message());
    return spec_.supports != nullptr ? spec_.supports(*op, problem) : Verdict::yes();
  }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig& config) const override {
    if (Verdict v = supports(problem); !v) return Status(Code::unsupported, text(spec_.id, ": ", v.reason));
    if (Verdict v = accepts(problem, config); !v) return invalid(spec_.id, ": ", v.reason);
    TARE_ASSIGN_OR_RETURN(Op op, from_attributes<Op>(problem.first().attributes));
    TARE_ASSIGN_OR_RETURN(Config parsed, from_attributes<Config>(config));
    TARE_ASSIGN_OR_RETURN(auto kernels, load_kernels(jit_, device, spec_.kernels(op, parsed, problem)));
    auto* launcher = static_cast<CudaLaunch*>(device.query(CudaLaunch::kInterface));
    return std::unique_ptr<Instance>(std::make_unique<Bound>(spec_.run, std::move(op), std::move(parsed), problem,
                                                             *launcher, std::move(kernels), spec_.dependent,
                                                             spec_.replays));
  }

 private:
  class Bound final : public Instance {
   public:
    Bound(Status (*run)(const CudaCall<Op, Config>&), Op op, Config config, Problem problem, CudaLaunch& launcher,
          std::vector<std::shared_ptr<CudaKernel>> kernels, bool dependent, bool replays)
        : run_(run),
          op_(std::move(op)),
          config_(std::move(config)),
          problem_(std::move(problem)),
          launcher_(launcher),
          kernels_(std::move(kernels)),
          dependent_(dependent),
          replays_(replays) {}
    bool replays() const noexcept override { return replays_; }
    Status launch(const Launch& launch) noexcept override {
      try {
        return run_({op_, config_, problem_, launch, launcher_, kernels_, dependent_});
      } catch (const std::bad_alloc&) {
        return Status(Code::exhausted, text(Op::kOp, ": the process is out of memory"));
      }
    }

   private:
    Status (*run_)(const CudaCall<Op, Config>&);
    Op op_;
    Config config_;
    Problem problem_;
    CudaLaunch& launcher_;
    std::vector<std::shared_ptr<CudaKernel>> kernels_;
    const bool dependent_, replays_;
  };
  Jit& jit_;
  CudaKernelSpec<Op, Config> spec_;
};

template <class Op, class Config = NoConfig>
std::unique_ptr<KernelCandidate> cuda_kernel(Jit& jit, CudaKernelSpec<Op, Config> spec) {
  return std::make_unique<CudaOpKernel<Op, Config>>(jit, std::move(spec));
}

}  // namespace tare::jit
