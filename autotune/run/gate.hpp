// ExactnessGate: does a kernel give the bits that the plain variant of the same order of sums gives, at both edges of
// its bucket, and the plain variant for a row alone what it gives for the row in a batch? What fails is never chosen.
// [one thread]
#pragma once
#include <map>

#include "autotune/run/bench.hpp"
#include "autotune/run/candidates.hpp"

namespace tare {

class ExactnessGate {
 public:
  // `layout`: that the gate's benches have; the truth comes from the plain layout that the first kernel of `numerics`
  // reads, or from `layout` itself where no kernel of that order reads a plain one.
  static Result<std::unique_ptr<ExactnessGate>> create(Device& device, const Registry& registry, const Problem& problem,
                                                       std::string_view layout, std::string_view numerics,
                                                       int64_t most_rows, DeviceData* data = nullptr);
  // Empty: equal bits. Otherwise what differs, or why it did not run. `bench` has the same problem, and what it
  // prepared.
  Result<std::string> check(ProblemBench& bench, const ProblemBench::Prepared& prepared, std::span<const int64_t> rows);

 private:
  ExactnessGate(const Registry& registry, Problem problem) : registry_(registry), problem_(std::move(problem)) {}
  struct Truth {
    BenchResults bits;
    std::string name, wrong;  // wrong: why it is no truth
  };
  Result<const Truth*> truth(int64_t rows);

  const Registry& registry_;
  const Problem problem_;
  std::string layout_, numerics_;
  BenchMemory memory_;
  std::unique_ptr<ProblemBench> bench_;
  std::map<int64_t, Truth> truths_;
};

}  // namespace tare
