#include "plugins/linear/cuda/work.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "plugins/linear/cuda/tiling.hpp"

namespace tare::linear_cuda {
namespace {

struct WorkOf {
  const MatrixShape& m;
  int32_t tokens;
  Work operator()(const StripConfig& c) const { return {.pieces = m.order.strips() / own_strips(c)}; }
  Work operator()(const ClusterConfig& c) const {
    return {.pieces = tiles(c, m.order.rows, tokens), .blocks = c.cluster, .walks = m.leaves == 1};
  }
  Work operator()(const StreamConfig& c) const {
    return {
        .pieces = tiles(c, m.order.rows, tokens) * m.leaves, .walks = c.sum_leaves || m.leaves == 1, .resident = true};
  }
  Work operator()(const WideConfig& c) const {
    return {.pieces = tiles(c, m.order.rows, tokens),
            .blocks = kWideCluster * (c.rest_leaves > 0 ? 1 : c.shares),
            .walks = c.shares == 1 || c.rest_leaves > 0,
            .resident = c.shares > 1,
            .rest_shares = c.rest_leaves > 0 ? c.shares : 1};
  }
  Work operator()(const PortableConfig&) const { return {}; }
};

// Cycles of a step of one piece. A warpgroup decodes its records in about 230 cycles and multiplies them by a token in
// one more; with fewer than 256 tokens a tile shared memory is what limits `wide`, or the threads that issue its copies
// where a slot takes several.
double step_cycles(const ClusterConfig& c) { return warpgroups(c) * (230.0 + c.tokens * (c.tokens > 128 ? 1.1 : 1.0)); }
double step_cycles(const WideConfig& c, const MatrixShape& m) {
  const bool one_copy = c.tensor_copies || m.order.strips_per_block >= 4 * c.row_groups;
  return c.row_groups == 3 ? 1070.0 : c.chunks == 2 && one_copy ? 680.0 : 820.0 + (c.tokens - 128) * 2.2;
}

constexpr double kTileChange = 3000, kNextWave = 14000;  // storing a tile; starting further blocks
constexpr double kSharing = 6000;         // sums through L2 between the clusters of one tile, for each leaf of a share
constexpr double kBytesThroughL2 = 5000;  // a cycle: every row tile reads the activations, every token tile the weights
constexpr int kTensorFrom = 64;           // tokens of a cluster's tile from which one copy a slot is better
constexpr double kTensorGain = 0.99;      // of tiles of many tokens

}  // namespace

Work work_of(const AnyConfig& config, const MatrixShape& matrix, int32_t tokens) noexcept {
  return std::visit(WorkOf{matrix, tokens}, config);
}

int64_t groups_for(const Work& work, const Rounds& rounds) noexcept {
  if (work.pieces == 0) return 0;
  if (!rounds.rest) return (work.pieces + rounds.whole - 1) / rounds.whole;
  // As few as take the last round's pieces by shares; what the kernel does with them follows from their number alone.
  const int64_t shares = work.rest_shares, parts = rounds.whole * shares + 1;
  int64_t groups = (work.pieces * shares + parts - 1) / parts;
  while (work.pieces % groups * shares > groups) ++groups;
  return groups;
}

Rounds fewest_rounds(std::span<const Work> works, int64_t limit) noexcept {
  const auto fits = [&](const Rounds& rounds) {
    int64_t all = 0;
    for (const Work& w : works) all += groups_for(w, rounds);
    return all <= limit;
  };
  const bool walks = std::ranges::all_of(works, &Work::walks);
  const bool shares = std::ranges::all_of(works, [](const Work& w) { return w.rest_shares > 1 && w.pieces > 0; });
  int64_t most = 0;
  for (const Work& w : works) most = std::max(most, w.pieces);
  for (int64_t whole = shares ? 0 : 1;; ++whole) {
    if (whole > 0 && (!walks || whole >= most || fits({.whole = whole, .rest = false})))
      return {.whole = whole, .rest = false};
    if (shares && fits({.whole = whole, .rest = true})) return {.whole = whole, .rest = true};
  }
}

double predicted_cycles(const AnyConfig& config, std::span<const MatrixShape> matrices, int32_t tokens,
                        int32_t multiprocessors) noexcept {
  const auto* cluster = std::get_if<ClusterConfig>(&config);
  const auto* wide = std::get_if<WideConfig>(&config);
  if (matrices.empty() || (cluster == nullptr && wide == nullptr)) return 0;
  const bool rest = wide != nullptr && wide->rest_leaves > 0;
  std::vector<Work> works;
  int64_t pieces = 0, steps = 0, blocks = 1;
  double through_l2 = 0;
  for (const MatrixShape& m : matrices) {
    const Work work = work_of(config, m, tokens);
    pieces += work.pieces, blocks = work.blocks, works.push_back(work);
    if (cluster != nullptr)
      through_l2 += 2.0 * tokens * m.order.columns * (m.order.rows / (64 * cluster->row_groups)) +
                    1.6 * m.order.rows * m.order.columns * static_cast<double>(token_tiles(tokens, cluster->tokens));
    const int32_t apart = rest ? 1 : wide != nullptr ? wide->shares : m.leaves;
    steps = std::max<int64_t>(steps, m.order.chunks() / apart);
  }
  const int64_t slots = std::max<int64_t>(multiprocessors / blocks, 1);
  const auto rounds = static_cast<double>((pieces + slots - 1) / slots);
  if (cluster != nullptr) {
    const double one = static_cast<double>(steps) * step_cycles(*cluster) + kTileChange;
    return std::max(rounds * one + (rounds - 1) * kNextWave, through_l2 / kBytesThroughL2) *
           (cluster->tensor_copies && cluster->tokens >= kTensorFrom ? kTensorGain : 1);
  }
  const double tile = static_cast<double>(steps) * step_cycles(*wide, matrices[0]);
  const double sharing = wide->shares > 1 ? leaves_of_share(*wide) * kSharing : 0;
  if (rest) {
    const Rounds best = fewest_rounds(works, slots);
    return (static_cast<double>(best.whole) * (tile + kTileChange) +
            (best.rest ? tile / wide->shares + kTileChange + sharing : 0)) *
           (wide->tensor_copies ? kTensorGain : 1);
  }
  if (wide->cut) {  // one launch a matrix
    double sum = 0;
    for (const Work& w : works) {
      const double each = static_cast<double>(w.pieces) / static_cast<double>(slots);
      sum += each * tile + std::ceil(each) * kTileChange + kSharing;
    }
    return sum;
  }
  return rounds * (tile + kTileChange + sharing) * (wide->tensor_copies ? kTensorGain : 1);
}

}  // namespace tare::linear_cuda
