#include "plugins/linear/cuda/tiling.hpp"

namespace tare::linear_cuda {
namespace {

Verdict common(WeightCode code, int32_t header_blocks, const MatrixShape& m, int32_t tokens, int32_t shared) {
  if (code != m.code) return Verdict::no("the matrix is stored in the other code");
  if (code != WeightCode::kDense && header_blocks != m.header_blocks) {
    return Verdict::no("the kernel reads headers of ", header_blocks, " blocks, the matrix has ", m.header_blocks);
  }
  if (tokens < 1) return Verdict::no(tokens, " tokens");
  if (m.order.strips_per_block < 1 || m.order.rows % (kStripRows * m.order.strips_per_block) != 0) {
    return Verdict::no("N = ", m.order.rows, " is not a multiple of ", kStripRows * m.order.strips_per_block);
  }
  if (m.order.columns % (kChunkColumns * m.leaves) != 0) {
    return Verdict::no("K = ", m.order.columns, " is not a multiple of ", kChunkColumns * m.leaves, " (", m.leaves,
                       " leaves)");
  }
  if (shared > kMaxSharedBytes)
    return Verdict::no("the ring needs ", shared, " bytes of shared memory, a block has ", kMaxSharedBytes);
  return Verdict::yes();
}

struct Accepts {
  const MatrixShape& m;
  int32_t tokens, multiprocessors;

  Verdict operator()(const StripConfig& c) const {
    if (auto v = common(c.code, c.header_blocks, m, tokens, shared_bytes(c)); !v) return v;
    if (tokens > c.tokens) return Verdict::no(tokens, " tokens, the tile has ", c.tokens);
    const int own = own_strips(c);
    if (c.gated && c.strips % 2 != 0) return Verdict::no(c.strips, " strips, gate and up have as many each");
    if (!tensor_copies_align(c))
      return Verdict::no("tensor copies of ", own * c.k_groups, " headers do not end at 128 bytes");
    if (m.order.strips() % own != 0) return Verdict::no(m.order.strips(), " strips are not a multiple of ", own);
    if (threads(c) > 1024) return Verdict::no("the block would have ", threads(c), " threads");
    if (c.k_groups > 1) {
      if (c.k_groups != m.leaves) return Verdict::no(c.k_groups, " groups of K, the matrix has ", m.leaves, " leaves");
      if (!nests(own, m.order.strips_per_block))
        return Verdict::no(own, " strips do not fit blocks of ", m.order.strips_per_block);
    } else if (c.sum_leaves != (m.leaves > 1)) {
      return Verdict::no("the kernel ", c.sum_leaves ? "adds leaves" : "has one leaf", ", the matrix has ", m.leaves);
    }
    return Verdict::yes();
  }
  Verdict operator()(const ClusterConfig& c) const {
    if (auto v = common(c.code, c.header_blocks, m, tokens, shared_bytes(c)); !v) return v;
    if (m.order.rows % (64 * c.row_groups) != 0)
      return Verdict::no("N = ", m.order.rows, " is not a multiple of ", 64 * c.row_groups);
    if (leaves(c) != m.leaves) return Verdict::no("the kernel has ", leaves(c), " leaves, the matrix ", m.leaves);
    if (c.k_groups > 1 && !nests(4 * c.row_groups, m.order.strips_per_block)) {
      return Verdict::no(4 * c.row_groups, " strips do not fit blocks of ", m.order.strips_per_block);
    }
    return Verdict::yes();
  }
  Verdict operator()(const StreamConfig& c) const {
    if (auto v = common(c.code, c.header_blocks, m, tokens, shared_bytes(c)); !v) return v;
    if (m.order.rows % (64 * c.row_groups) != 0)
      return Verdict::no("N = ", m.order.rows, " is not a multiple of ", 64 * c.row_groups);
    const int64_t all = tiles(c, m.order.rows, tokens), items = all * m.leaves;
    if (c.sum_leaves && m.leaves == 1) return Verdict::no("there is only one leaf to add");
    if (!c.sum_leaves && m.leaves > 1 && items > multiprocessors) {
      return Verdict::no("without a second set of sums each block takes one leaf: ", items, " leaves, ",
                         multiprocessors, " blocks");
    }
    if (all * 4 > kFlagBytes) return Verdict::no(all, " tiles need more flags than the workspace has");
    if (m.leaves > 1 && partial_bytes(c, even_grid(items, multiprocessors), m.leaves) > kPartialBytes) {
      return Verdict::no("the sums of ", m.leaves, " leaves do not fit the workspace");
    }
    return Verdict::yes();
  }
  Verdict operator()(const WideConfig& c) const {
    if (auto v = common(c.code, c.header_blocks, m, tokens, shared_bytes(c)); !v) return v;
    const int32_t tile_rows = block_rows(c) * kWideCluster;
    if (m.order.rows % tile_rows != 0) return Verdict::no("N = ", m.order.rows, " is not a multiple of ", tile_rows);
    if (m.order.chunks() / m.leaves % 2 != 0)
      return Verdict::no("a leaf has an odd number of chunks: ", m.order.chunks() / m.leaves);
    if (c.shares < 1 || m.leaves % c.shares != 0)
      return Verdict::no(c.shares, " clusters cannot share ", m.leaves, " leaves");
    const bool rest = c.rest_leaves > 0;
    if (c.sum_leaves != (m.leaves / (rest ? 1 : c.shares) > 1))
      return Verdict::no("the kernel ", c.sum_leaves ? "adds leaves" : "has one leaf", ", ",
                         c.shares > 1 && !rest ? "a share" : "the matrix", " has ", m.leaves / (rest ? 1 : c.shares));
    if (rest && c.rest_leaves != m.leaves / c.shares)
      return Verdict::no("the kernel has ", c.rest_leaves, " leaves a share, the matrix ", m.leaves / c.shares);
    if (rest && c.shares == 1) return Verdict::no("a last round is shared by two clusters or more, found 1");
    if (c.shares > 1) {
      const int64_t all = tiles(c, m.order.rows, tokens);
      if (c.cut) return Verdict::no("leaves are shared or tiles are cut, not both");
      if (m.leaves / c.shares > 2) return Verdict::no("a share of ", m.leaves / c.shares, " leaves, expected 1 or 2");
      if (!rest && all * c.shares > multiprocessors / kWideCluster)
        return Verdict::no(all, " tiles for ", c.shares, " clusters each, there are ", multiprocessors / kWideCluster);
      if (partial_bytes(c, multiprocessors / kWideCluster) > kPartialBytes)
        return Verdict::no("shared sums do not fit the workspace");
    }
    if (c.cut && m.order.chunks() / m.leaves < c.activation_stages * c.chunks + 2)
      return Verdict::no("a leaf of ", m.order.chunks() / m.leaves, " chunks is shorter than the ring");
    if (c.cut) {
      const int64_t all = tiles(c, m.order.rows, tokens), clusters = multiprocessors / kWideCluster;
      if (m.leaves > 1) return Verdict::no("only the sums of one leaf travel between clusters");
      if (all <= clusters || all % clusters == 0)
        return Verdict::no(all, " tiles on ", clusters, " clusters need no cut");
      if (partial_bytes(c, static_cast<int>(clusters)) > kPartialBytes)
        return Verdict::no("parked sums do not fit the workspace");
    }
    return Verdict::yes();
  }
  Verdict operator()(const PortableConfig& c) const {
    if (auto v = common(c.code, c.header_blocks, m, tokens, shared_bytes(c)); !v) return v;
    if (m.leaves % c.k_groups != 0) return Verdict::no(c.k_groups, " groups of K do not divide ", m.leaves, " leaves");
    return Verdict::yes();
  }
};

}  // namespace

Verdict accepts(const AnyConfig& config, const MatrixShape& matrix, int32_t tokens, int32_t multiprocessors) {
  const SlotSpan span = std::visit(SpanOf{}, config);
  if (span.tensor && matrix.order.strips_per_block > 0 && !nests(span.strips, matrix.order.strips_per_block)) {
    return Verdict::no(span.strips, " strips do not fit blocks of ", matrix.order.strips_per_block);
  }
  return std::visit(Accepts{matrix, tokens, multiprocessors}, config);
}

}  // namespace tare::linear_cuda
