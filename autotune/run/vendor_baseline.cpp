#include "autotune/run/vendor_baseline.hpp"

#include <algorithm>

#include "core/api/ops.hpp"

namespace tare {
namespace {
constexpr StoppingRule kQuick{.least = 3, .most = 4, .spread = 0.03, .seconds = 0.05, .hopeless = 1.25};
}

Result<std::unique_ptr<VendorBaseline>> VendorBaseline::create(Device& device, VendorProducts& vendor, DeviceData& data,
                                                               LaunchTimer& timer, const Problem& problem,
                                                               int64_t most_rows, int64_t cold_bytes,
                                                               VendorWays& ways) {
  const ProblemOp& op = problem.first();
  int64_t outputs = 0, inputs = 0;
  if (op.op != Linear::kOp || op.inputs.empty() || op.inputs[0].dtype != DType::bf16)
    return std::unique_ptr<VendorBaseline>();
  for (size_t i = 0; i < op.weights.size(); i += 2) {
    if (!op.weights[i] || op.weights[i]->dtype != DType::bf16) return std::unique_ptr<VendorBaseline>();
    outputs += op.weights[i]->outputs(), inputs = op.weights[i]->inputs();
  }
  auto out = std::unique_ptr<VendorBaseline>(new VendorBaseline(vendor, timer, ways));
  out->outputs_ = static_cast<int32_t>(outputs), out->inputs_ = static_cast<int32_t>(inputs);
  TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  const auto allocate = [&](int64_t numbers, const char* label) {
    return device.allocate(static_cast<size_t>(numbers * 2), Purpose::staging, label);
  };
  const int64_t copies = std::clamp<int64_t>(cold_bytes / (outputs * inputs * 2) + 1, 1, 64);
  for (int64_t c = 0; c < copies; ++c) {
    auto weights = allocate(outputs * inputs, "tuning/vendor weights");
    if (!weights.ok() && c > 0) break;  // warmer figures where the device has less room
    if (!weights.ok()) return std::move(weights).status();
    TARE_RETURN_IF_ERROR(
        data.fill_weights(*out->stream_, outputs, inputs, static_cast<uint64_t>(c + 1), false, (*weights)->data()));
    out->weights_.push_back(std::move(*weights));
  }
  TARE_ASSIGN_OR_RETURN(out->x_, allocate(most_rows * inputs, "tuning/vendor inputs"));
  TARE_RETURN_IF_ERROR(data.fill_activations(*out->stream_, most_rows * inputs, 100, out->x_->data()));
  TARE_ASSIGN_OR_RETURN(out->out_, allocate(most_rows * outputs, "tuning/vendor outputs"));
  return out;
}

Status VendorBaseline::launch(int64_t rows, int way) {
  const Buffer& weights = *weights_[next_++ % weights_.size()];
  return vendor_.run(shape(rows), way, *stream_, weights.data(), x_->data(), out_->data());
}

Launcher VendorBaseline::unit(int64_t rows, int way, int64_t launches) {
  return [this, rows, way, launches] {
    return timer_.run(*stream_, [&] {
      for (int64_t i = 0; i < launches; ++i) TARE_RETURN_IF_ERROR(launch(rows, way));
      return Status();
    });
  };
}

Result<int> VendorBaseline::best_way(int64_t rows, int64_t launches) {
  const std::tuple key(outputs_, inputs_, rows);
  if (const auto known = ways_.find(key); known != ways_.end()) return known->second;
  TARE_ASSIGN_OR_RETURN(const int ways, vendor_.prepare(shape(rows), kMostHeuristics));
  std::vector<Launcher> units;
  std::vector<int> which;
  for (int way = 0; way < ways; ++way) {
    // Once plainly: what is timed has run before. A heuristic that does not run is none.
    if (!launch(rows, way).ok() || !stream_->synchronize().ok()) continue;
    units.push_back(unit(rows, way, launches)), which.push_back(way);
  }
  if (units.empty()) return failure(Code::internal, "none of the vendor's ways runs ", rows, " rows");
  TARE_ASSIGN_OR_RETURN(const auto timings, measure(
                                                units, [this] { return timer_.now(); }, kQuick));
  const auto best = std::ranges::min_element(timings, {}, &Timing::median);
  return ways_[key] = which[static_cast<size_t>(best - timings.begin())];
}

}  // namespace tare
