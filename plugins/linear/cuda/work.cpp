#include "plugins/linear/cuda/work.hpp"

#include <algorithm>

namespace tare::linear_cuda {
namespace {

int64_t tiles(const MatrixShape& m, int32_t tile_rows, int32_t tokens, int32_t tile_tokens) {
  return int64_t{m.order.rows / tile_rows} * ((tokens + tile_tokens - 1) / tile_tokens);
}

struct WorkOf {
  const MatrixShape& m;
  int32_t tokens;
  Work operator()(const StripConfig& c) const { return {.pieces = m.order.strips() / c.strips}; }
  Work operator()(const ClusterConfig& c) const {
    return {.pieces = tiles(m, 64 * c.row_groups, tokens, c.tokens), .blocks = c.cluster, .walks = m.leaves == 1};
  }
  Work operator()(const StreamConfig& c) const {
    return {.pieces = tiles(m, 64 * c.row_groups, tokens, c.tokens) * m.leaves,
            .walks = c.sum_leaves || m.leaves == 1,
            .resident = true};
  }
  Work operator()(const WideConfig& c) const {
    return {.pieces = tiles(m, block_rows(c) * kWideCluster, tokens, c.tokens) * (c.split_leaves ? m.leaves : 1),
            .blocks = kWideCluster * c.shares,
            .walks = c.shares == 1,
            .resident = c.split_leaves || c.shares > 1};
  }
  Work operator()(const PortableConfig&) const { return {}; }
};

// Cycles of a step of one piece. A warpgroup decodes its records in about 230 cycles and multiplies them by a token in
// one more; with fewer than 256 tokens a tile shared memory is what limits `wide`, or the threads that issue its copies
// where a slot takes several.
double step_cycles(const ClusterConfig& c) { return warpgroups(c) * (230.0 + c.tokens); }
double step_cycles(const WideConfig& c, const MatrixShape& m) {
  const bool one_copy = c.tensor_copies || m.order.strips_per_block >= 4 * c.row_groups;
  return c.row_groups == 3 ? 1070.0 : c.chunks == 2 && one_copy ? 680.0 : 820.0 + (c.tokens - 128) * 2.2;
}

constexpr double kTileChange = 3000, kNextWave = 14000;  // storing a tile; starting further blocks
constexpr double kExchange = 14000, kExchanges = 30000;  // sums through L2: in a single round, in several
constexpr double kSharing = 6000;                        // the same between the clusters of one tile
constexpr double kTensorGain = 0.99;                     // of tiles of many tokens

}  // namespace

Work work_of(const AnyConfig& config, const MatrixShape& matrix, int32_t tokens) noexcept {
  return std::visit(WorkOf{matrix, tokens}, config);
}

double predicted_cycles(const AnyConfig& config, std::span<const MatrixShape> matrices, int32_t tokens,
                        int32_t multiprocessors) noexcept {
  const auto* cluster = std::get_if<ClusterConfig>(&config);
  const auto* wide = std::get_if<WideConfig>(&config);
  if (matrices.empty() || (cluster == nullptr && wide == nullptr)) return 0;
  int64_t pieces = 0, steps = 0, blocks = 1;
  for (const MatrixShape& m : matrices) {
    if (m.leaves == 1) return 0;
    const Work work = work_of(config, m, tokens);
    pieces += work.pieces, blocks = work.blocks;
    steps =
        std::max<int64_t>(steps, m.order.chunks() / (wide != nullptr && !wide->split_leaves ? wide->shares : m.leaves));
  }
  const int64_t slots = std::max<int64_t>(multiprocessors / blocks, 1);
  const auto rounds = static_cast<double>((pieces + slots - 1) / slots);
  if (cluster != nullptr) {
    const double one = static_cast<double>(steps) * step_cycles(*cluster);
    return (rounds * one + (rounds - 1) * kNextWave) *
           (cluster->tensor_copies && cluster->tokens >= 128 ? kTensorGain : 1);
  }
  const double one =
      static_cast<double>(steps) * step_cycles(*wide, matrices[0]) + kTileChange + (wide->shares > 1 ? kSharing : 0);
  return (rounds * one + (!wide->split_leaves ? 0
                          : rounds > 1        ? kExchanges
                                              : kExchange)) *
         (wide->tensor_copies ? kTensorGain : 1);
}

}  // namespace tare::linear_cuda
