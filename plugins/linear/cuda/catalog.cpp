#include "plugins/linear/cuda/catalog.hpp"

#include <algorithm>

#include "plugins/linear/cuda/tiling.hpp"

namespace tare::linear_cuda {
namespace {

template <class Config>
Config with_most_stages(Config c, int most) {
  c.stages = most;
  while (c.stages > 2 && shared_bytes(c) > kMaxSharedBytes) --c.stages;
  return c;
}

// The narrowest tile that holds `tokens`, at most `most`.
int tile_width(int32_t tokens, int most) {
  for (const int width : {48, 64, 96, 128, 192, 256}) {
    if (width >= tokens || width == most) return width;
  }
  return most;
}

// Strips a block: first what runs untuned, where the busiest multiprocessor has the fewest.
std::vector<int> by_busiest(std::vector<int> sizes, int32_t rows, int32_t multiprocessors) {
  std::ranges::stable_sort(sizes, {}, [&](int p) {
    const int32_t blocks = (rows / kStripRows + p - 1) / p;
    return (blocks + multiprocessors - 1) / multiprocessors * p;
  });
  return sizes;
}

int strip_tile(int32_t tokens) { return tokens <= 8 ? 8 : tokens <= 16 ? 16 : 32; }

void strips(std::vector<AnyConfig>& out, const MatrixShape& m, int32_t tokens, int32_t multiprocessors) {
  StripConfig c{.code = m.code, .header_blocks = m.header_blocks, .tokens = strip_tile(tokens)};
  if (m.leaves > 1) {
    c.k_groups = m.leaves;
    std::vector<int> sizes{m.order.strips_per_block, 2, 4, 3, 1};
    // Fewer strips than multiprocessors, and not by a hair: one each.
    const bool few = 4 * m.order.strips() < 3 * multiprocessors;
    if (few) std::rotate(sizes.begin(), sizes.end() - 1, sizes.end());
    for (const int p : sizes) {
      c.strips = p, c.tensor_copies = few && p < m.order.strips_per_block;
      out.push_back(with_most_stages(c, 8));
    }
  } else {
    c.k_groups = 1;
    for (const int p : by_busiest({14, 16, 12, 8, 7, 10, 6}, m.order.rows, multiprocessors)) {
      c.strips = p;
      out.push_back(with_most_stages(c, 8));
    }
  }
}

void clusters(std::vector<AnyConfig>& out, const MatrixShape& m, int32_t tokens, int32_t multiprocessors) {
  ClusterConfig c{.code = m.code, .header_blocks = m.header_blocks, .tokens = tile_width(tokens, 128)};
  struct Split {
    int row_groups, k_groups, cluster;
    bool overlap;
  };
  Split splits[] = {{4, 1, 1, false}, {2, 1, 1, true},  {1, 2, 2, true}, {1, 4, 1, false}, {2, 2, 2, false},
                    {1, 2, 1, true},  {2, 2, 1, false}, {1, 1, 2, true}, {2, 1, 2, true},  {1, 1, 1, true}};
  // What runs untuned: smaller tiles where large ones are fewer than the device has room for (gate or up of an 8B).
  if (m.leaves == 1 && m.order.rows / 256 < multiprocessors) std::swap(splits[0], splits[1]);
  for (const Split& s : splits) {
    // Four groups of K with 128 tokens leave a ring of two slots and producers that spill; never the best.
    if (c.tokens > 64 && s.row_groups == 1 && s.k_groups == 4) continue;
    // A lone group of rows where two have no place: never better than they are.
    if (s.row_groups * s.k_groups * s.cluster == 1 && m.order.rows % 128 == 0) continue;
    c.row_groups = s.row_groups, c.k_groups = s.k_groups, c.cluster = s.cluster, c.overlap = s.overlap;
    out.push_back(with_most_stages(c, 8));
  }
  if (m.leaves == 1 && tokens > 128) {
    c.tokens = tile_width(tokens, 256), c.row_groups = 2, c.k_groups = 1, c.cluster = 1, c.overlap = true;
    out.push_back(with_most_stages(c, 8));
  }
}

void streams(std::vector<AnyConfig>& out, const MatrixShape& m, int32_t tokens) {
  StreamConfig c{.code = m.code, .header_blocks = m.header_blocks};
  std::vector<int> widths{tile_width(tokens, 128)};
  if (tokens > 128) widths.push_back(tile_width(tokens, 256));
  for (const int n : widths) {
    c.tokens = n, c.row_groups = 2;
    for (const bool sum : {true, false}) {
      c.sum_leaves = sum;
      if (sum && n > 128) continue;
      out.push_back(with_most_stages(c, 8));
    }
  }
}

// Whether the matrix leaves so few tiles for a last round that `shares` clusters can share each.
bool leaves_rest(const WideConfig& c, const MatrixShape& m, int32_t tokens, int32_t multiprocessors) {
  const int64_t all = tiles(c, m.order.rows, tokens);
  const int64_t clusters = multiprocessors / kWideCluster, rest = all % clusters;
  return all > clusters && rest > 0 && rest * c.shares <= clusters;
}

void wides(std::vector<AnyConfig>& out, const MatrixShape& m, int32_t tokens, int32_t multiprocessors) {
  WideConfig c{.code = m.code, .header_blocks = m.header_blocks};
  auto add = [&](int tile, int weight_stages, int activation_stages, int register_groups) {
    c.tokens = tile, c.sum_leaves = m.leaves / (c.rest_leaves > 0 ? 1 : c.shares) > 1;
    c.register_groups = c.sum_leaves ? register_groups : 0;
    c.weight_stages = weight_stages, c.activation_stages = activation_stages;
    while (c.weight_stages > 2 && shared_bytes(c) > kMaxSharedBytes) --c.weight_stages;
    while (c.activation_stages > 2 && shared_bytes(c) > kMaxSharedBytes) --c.activation_stages;
    out.push_back(c);
  };
  const int widest = tile_width(tokens, 256),
            groups = std::max(widest / 8 - 23, 4);  // 23 groups of the total fit beside the rings
  // Two chunks a slot.
  auto add_narrow = [&] { c.chunks = 2, add(128, 4, 3, 16), c.chunks = 1; };
  if (m.leaves > 1) {
    for (const int shares : {2, 4}) {
      if (m.leaves % shares != 0) continue;
      c.shares = shares;
      const bool alone = m.leaves == shares;  // a cluster has one leaf: no total, deeper rings
      if (tokens > 128) add(widest, alone ? 5 : 3, alone ? 4 : 3, groups);
      add_narrow();
      c.shares = 1;
    }
    if (tokens > 128) add(widest, 3, 3, groups);
    if (tokens <= 1024) add_narrow();
    // Whole tiles, then the last round's shared by as many as there are clusters for.
    for (const int tile : {widest, 128}) {
      for (const int shares : {4, 2}) {
        c.tokens = tile, c.shares = shares, c.rest_leaves = m.leaves / shares;
        const bool pays = tokens > 128 && m.leaves % shares == 0 && (c.rest_leaves == 1 || c.rest_leaves == 2) &&
                          leaves_rest(c, m, tokens, multiprocessors);
        if (pays && tile == widest) add(widest, 3, 3, groups);
        if (pays && tile == 128 && tokens <= 1024) add_narrow();
        c.shares = 1, c.rest_leaves = 0;
        if (pays) break;
      }
    }
    // Three groups of rows for rows that three fill better than two.
    if (tokens > 128 && m.order.rows % 384 == 0) c.row_groups = 3, add(128, 3, 4, 0), c.row_groups = 2;
  } else {
    for (const bool cut : {true, false}) {
      c.cut = cut;
      if (tokens > 128) add(widest, 4, 4, 0);
      if (tokens <= 128) {
        add(128, 8, 6, 0);
        add_narrow();
      }
    }
    c.cut = false;
  }
}

constexpr int32_t kFewStrips = 64, kWideColumns = 5120;

// Has the copy engine that strips need.
bool copies_in_bulk(std::string_view architecture) {
  return architecture.starts_with("sm_9") || architecture.starts_with("sm_1");
}

}  // namespace

Placement choose_placement(int32_t rows, int32_t columns, int32_t multiprocessors) {
  const int32_t strips = rows / kStripRows;
  Placement p;
  // One leaf where rows alone fill the device (from 10,560 on, as gate and up of an 8B): nothing is added up
  // afterwards, and tiles for many tokens may be cut anywhere. Two where they nearly do: within 2 % of four at few
  // tokens, 6 to 9 % faster at many.
  // Keys and values of wide models go with queries that have two, in one launch.
  const bool beside_two = strips <= kFewStrips && columns >= kWideColumns;
  p.leaves = strips >= 5 * multiprocessors || columns % (kChunkColumns * 4) != 0 ? 1
             : strips > 2 * multiprocessors || beside_two                        ? 2
                                                                                 : 4;
  for (const int32_t per_block : p.leaves == 1                  ? std::vector<int32_t>{16, 8, 4, 2, 1}
                                 : strips > 2 * multiprocessors ? std::vector<int32_t>{4, 2, 1}
                                                                : std::vector<int32_t>{2, 1}) {
    if (strips % per_block == 0) {
      p.strips_per_block = per_block;
      break;
    }
  }
  return p;
}

std::vector<AnyConfig> candidates(const MatrixShape& matrix, int32_t tokens, int32_t multiprocessors,
                                  std::string_view architecture) {
  std::vector<AnyConfig> all, out;
  if (copies_in_bulk(architecture) && tokens <= kMostStripTokens) strips(all, matrix, tokens, multiprocessors);
  if (architecture == "sm_90a") {
    std::vector<AnyConfig> many;
    if (tokens > 64) wides(many, matrix, tokens, multiprocessors);
    // Beyond 512 tokens only for sizes that the kernel for many tokens does not take.
    const bool few = tokens <= 512 || std::ranges::none_of(many, [&](const AnyConfig& c) {
                       return static_cast<bool>(accepts(c, matrix, tokens, multiprocessors));
                     });
    if (tokens > 16 && few) clusters(all, matrix, tokens, multiprocessors);
    all.insert(all.end(), many.begin(), many.end());
    if (tokens > 32 && few) streams(all, matrix, tokens);
  }
  all.push_back(PortableConfig{.code = matrix.code,
                               .header_blocks = matrix.header_blocks,
                               .tokens = strip_tile(tokens),
                               .strips = 4 / std::min(matrix.leaves, 4),
                               .k_groups = std::min(matrix.leaves, 4)});
  // Where a slot would take several bulk copies, one tensor copy may be better.
  const std::vector<AnyConfig> runs = all;
  for (AnyConfig c : runs) {
    const bool several = std::visit(
        [&](auto& config) {
          using Config = std::decay_t<decltype(config)>;
          const int32_t per_block = matrix.order.strips_per_block;
          if constexpr (std::is_same_v<Config, StripConfig>) {
            config.tensor_copies = true;
            return per_block < config.strips || (config.k_groups > 1 && per_block > config.strips);
          } else if constexpr (std::is_same_v<Config, ClusterConfig>) {
            config.tensor_copies = true;
            return per_block < 4 * config.row_groups || (config.k_groups > 1 && per_block > 4 * config.row_groups);
          } else if constexpr (std::is_same_v<Config, StreamConfig>) {
            config.tensor_copies = true;
            return per_block < 4 * config.row_groups;
          } else if constexpr (std::is_same_v<Config, WideConfig>) {
            config.tensor_copies = true;
            return per_block < 4 * config.row_groups;
          } else {
            return false;
          }
        },
        c);
    if (several) all.push_back(c);
  }
  for (const AnyConfig& c : all) {
    if (accepts(c, matrix, tokens, multiprocessors) && std::find(out.begin(), out.end(), c) == out.end())
      out.push_back(c);
  }
  return out;
}

std::vector<AnyConfig> gated_candidates(const MatrixShape& matrix, int32_t tokens, int32_t multiprocessors,
                                        std::string_view architecture) {
  std::vector<AnyConfig> out;
  if (!copies_in_bulk(architecture) || tokens > kMostStripTokens) return out;
  StripConfig c{.code = matrix.code, .header_blocks = matrix.header_blocks, .tokens = strip_tile(tokens)};
  c.k_groups = matrix.leaves, c.gated = true;
  for (const int own :
       matrix.leaves > 1 ? std::vector<int>{4, 2, 1} : by_busiest({7, 8, 6, 5, 4}, matrix.order.rows, multiprocessors))
    for (const bool tensor : {false, true}) {
      c.strips = 2 * own, c.tensor_copies = tensor;
      const int32_t per_block = matrix.order.strips_per_block;
      if (tensor && per_block >= own && (matrix.leaves == 1 || per_block == own)) continue;  // a slot is a run or two
      const AnyConfig fitted = with_most_stages(c, 8);
      if (accepts(fitted, matrix, tokens, multiprocessors)) out.push_back(fitted);
    }
  return out;
}

}  // namespace tare::linear_cuda
