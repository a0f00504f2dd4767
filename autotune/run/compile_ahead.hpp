// What a search will ask a GPU's compiler for, compiled before it does: every candidate of every problem, layout and
// rows point is bound on a device that only compiles, to weights that have a head and no numbers. Beside a search on
// the GPU, so that it finds its kernels ready; or without a GPU, to fill the kernel cache.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "autotune/run/problems.hpp"
#include "core/registry/registry.hpp"
#include "jit/compile_only.hpp"

namespace tare {

// A candidate to bind: each once a problem and layout, at the first rows point that has it.
struct AheadCandidate {
  const KernelCandidate* kernel = nullptr;
  KernelConfig config;
  const Problem* problem = nullptr;
  std::string layout;
  int64_t rows = 0;
};
struct AheadList {
  std::vector<AheadCandidate> candidates;  // in the order in which a search wants them
  int64_t choices = 0;                     // layouts and rows points of problems
  int64_t measured = 0;                    // candidates of all choices: what a search has to try
};
// What tune() asks for: layouts as it takes them (`wanted`: codes or ids; empty: all), plain ones first, and the plain
// kernels that judge exactness. Points into `problems`. [any thread]
AheadList ahead_list(const Registry& registry, std::span<const TuningProblem> problems,
                     std::span<const std::string> wanted);

// The plain kernels alone that problems run by before anything was measured: those that judge exactness, those that a
// rate of arithmetic is measured with.
std::vector<AheadCandidate> plain_defaults(const Registry& registry, std::span<const TuningProblem> problems);

using UsualHead = std::function<std::vector<std::byte>(const WeightInfo&, std::string_view layout)>;
struct AheadOutcome {
  int64_t bound = 0, refused = 0;
  std::string first_refusal;  // the kernel and its reason
};
struct AheadOptions {
  int32_t threads = 0;                              // 0: all cores
  UsualHead head = {};                              // LinearLab::usual_head
  std::function<bool()> stopped = {};               // asked between two candidates
  std::function<void(int64_t done)> progress = {};  // [any thread]
};
// Binds them all; what does not bind is counted, not a failure: a search finds it out for itself. [any thread]
AheadOutcome compile_ahead(Device& compiler, const Registry& registry, std::span<const AheadCandidate> candidates,
                           const AheadOptions& options);

// The same on a thread of its own, until it is done or let go. All but the head outlive it. [one thread]
class CompileAhead {
 public:
  // `info`: of the GPU that is searched on, for which kernels are compiled.
  static std::unique_ptr<CompileAhead> start(const DeviceInfo& info, const Registry& registry,
                                             std::span<const TuningProblem> problems,
                                             std::span<const std::string> layouts, UsualHead head);
  ~CompileAhead();

 private:
  CompileAhead() = default;
  std::unique_ptr<Device> compiler_;
  std::atomic<bool> let_go_{false};
  std::thread thread_;
};

}  // namespace tare
