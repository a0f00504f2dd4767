#include "autotune/run/gate.hpp"

#include <set>

#include "autotune/store/entry.hpp"

namespace tare {
Result<std::unique_ptr<ExactnessGate>> ExactnessGate::create(Device& device, const Registry& registry,
                                                             const Problem& problem, std::string_view layout,
                                                             std::string_view numerics, int64_t most_rows,
                                                             DeviceData* data) {
  auto out = std::unique_ptr<ExactnessGate>(new ExactnessGate(registry, problem));
  out->layout_ = layout, out->numerics_ = numerics, out->memory_.data = data;
  for (const std::string& plain : layouts_of(registry, problem, std::vector<std::string>{"dense"}))
    if (default_for(registry, problem, plain, numerics)) {
      out->layout_ = plain;
      break;
    }
  TARE_ASSIGN_OR_RETURN(out->bench_,
                        ProblemBench::create(device, registry, problem, out->layout_, most_rows, 0, out->memory_));
  return out;
}

Result<const ExactnessGate::Truth*> ExactnessGate::truth(int64_t rows) {
  const auto [at, fresh] = truths_.try_emplace(rows);
  Truth& truth = at->second;
  if (!fresh) return &truth;
  const auto in_batch = default_for(registry_, at_rows(problem_, rows_point(rows)), layout_, numerics_);
  const auto alone = default_for(registry_, at_rows(problem_, 1), layout_, numerics_);
  if (!in_batch || !alone) {
    truth.wrong = text("no kernel adds in the order ", numerics_, " at ", rows, " rows");
    return &truth;
  }
  truth.name = in_batch->name();
  const auto fails = [&](const Status& status) {
    truth.wrong = text(truth.name, " does not run: ", status.message());
    return &truth;
  };
  auto batch = bench_->prepare(*in_batch->kernel, in_batch->config, rows_point(rows));
  if (!batch.ok()) return fails(batch.status());
  auto bits = bench_->results(*batch, rows);
  if (!bits.ok()) return fails(bits.status());
  truth.bits = std::move(*bits);
  auto single = bench_->prepare(*alone->kernel, alone->config, 1);
  if (!single.ok()) return fails(single.status());
  for (const int64_t row : std::set<int64_t>{0, rows / 2, rows - 1}) {
    const auto other = bench_->difference(*single, 1, row, truth.bits, row);
    if (!other.ok()) return fails(other.status());
    if (!other->empty())
      truth.wrong = text(truth.name, " gives other bits for a row alone than among ", rows, " (", *other, ")");
  }
  return &truth;
}

Result<std::string> ExactnessGate::check(ProblemBench& bench, const ProblemBench::Prepared& prepared,
                                         std::span<const int64_t> rows) {
  for (const int64_t count : rows) {
    TARE_ASSIGN_OR_RETURN(const Truth* expected, truth(count));
    if (!expected->wrong.empty()) return expected->wrong;
    const auto other = bench.difference(prepared, count, 0, expected->bits, 0);
    if (!other.ok()) return "does not run: " + other.status().message();
    if (!other->empty())
      return text("gives other bits than ", expected->name, " in ", layout_, " at ", count, " rows (", *other, ")");
  }
  return "";
}

}  // namespace tare
