// A kernel's answers: supports() takes anything, and what it supports it can also say everything about.
#include <exception>

#include "core/plugin/check_parts.hpp"

namespace tare {
namespace {

// The first promise that the kernel breaks on a problem that it supports, or "".
std::string broken_promise(const KernelCandidate& kernel, const Problem& problem) {
  const std::string numerics = kernel.numerics(problem);
  if (numerics != kernel.numerics(problem)) return "numerics() gave two answers to one question";
  const KernelConfig fallback = kernel.fallback(problem);
  if (fallback != kernel.fallback(problem)) return "fallback() gave two answers to one question";
  if (const Verdict verdict = kernel.accepts(problem, fallback); !verdict)
    return text("accepts() refuses its own fallback ", to_string(fallback), " (", verdict.reason, ")");
  for (const KernelConfig& config : kernel.space(problem))
    if (const Verdict verdict = kernel.accepts(problem, config); !verdict)
      return text("accepts() refuses ", to_string(config), " of its own space() (", verdict.reason, ")");
  if (const int64_t bytes = kernel.scratch_bytes(problem, fallback); bytes < 0)
    return text("scratch_bytes() is ", bytes, ", expected 0 or more");
  for (size_t op = 0; op < problem.ops.size(); ++op)
    for (size_t position = 0; position < problem.ops[op].weights.size(); ++position)
      if (problem.ops[op].weights[position])
        for (const std::string& layout : kernel.layouts(problem, op, position))
          if (layout != "*" && layout.find('/') == std::string::npos)
            return text("layouts() names '", layout, "', expected 'code/order' or '*'");
  return "";
}

}  // namespace

void check_kernel(const KernelCandidate& kernel, CheckSink& sink) {
  const std::string what = text("kernel '", kernel.id(), "'");
  sink.begin(what + ": takes()");
  size_t supported = 0, refused = 0, broken = 0;
  std::string first_reason, first_broken;
  const auto fail = [&](const OddProblem& odd, const std::string& how) {
    if (broken++ == 0) first_broken = text(odd.what, ": ", how);
  };
  for (const OddProblem& odd : odd_problems(kernel.takes(), kernel.device_kind())) {
    sink.begin(text(what, ": supports() of ", odd.what));
    const Verdict verdict = kernel.supports(odd.problem);
    if (!verdict) {
      ++refused;
      if (first_reason.empty()) first_reason = verdict.reason;
      continue;
    }
    ++supported;
    sink.begin(text(what, ": the questions about ", odd.what));
    try {
      if (const std::string how = broken_promise(kernel, odd.problem); !how.empty()) fail(odd, how);
    } catch (const std::exception& e) {
      fail(odd, text("a question threw (", e.what(), "), expected an answer"));
    }
  }
  if (broken != 0)
    sink.failed(what, text(first_broken, broken > 1 ? text(" (and ", broken - 1, " more)") : ""));
  else if (refused == 0)
    sink.warning(what, text("says yes to all ", supported, " problems, i64 numbers and tensors of rank 0 included"));
  else if (supported == 0)
    sink.warning(what, text("supports none of ", refused, " problems; its first reason: ", first_reason));
  else
    sink.ok(what, text("answers ", supported + refused, " problems, ", supported, " with yes, and keeps its fallback"));
}

}  // namespace tare
