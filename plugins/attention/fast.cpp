// attention/1 in blocks of 64 keys by absolute position: a row's sums do not depend on how its sequence was cut into
// steps, on the other rows, or on the threads. Sums begin anew every 512 positions and are merged in order, so that
// long contexts can be shared by threads without changing a bit.
#include <atomic>
#include <cmath>
#include <limits>

#include "plugins/attention/attention.hpp"
#include "plugins/attention/block.hpp"
#include "plugins/attention/pack.hpp"

namespace tare::attention {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// Everything that does not change during a launch.
struct Job {
  const CpuCall<Attention>& call;
  const Launch& launch;
  const PageTable& table;
  const TensorView &q, &k, &v, &out;
  const StateKind kind;
  BlockFunctions block;
  int64_t heads, kv_heads, group, d, dv;  // group: query heads that share a kv head
  int64_t query_stride, width;            // padded d and dv
  int64_t rows_at_once;

  explicit Job(const CpuCall<Attention>& c)
      : call(c),
        launch(c.launch),
        table(c.launch.step.page_tables[static_cast<size_t>(c.launch.state->group)]),
        q(c.launch.inputs[0]),
        k(c.launch.inputs[1]),
        v(c.launch.inputs[2]),
        out(c.launch.outputs[0]),
        kind(*c.problem.first().state),
        block(block_functions(best_cpu_target(c.problem.features))),
        heads(q.sizes[1]),
        kv_heads(k.sizes[1]),
        group(heads / kv_heads),
        d(q.sizes[2]),
        dv(v.sizes[2]) {
    query_stride = (d + 1) / 2 * 2, width = (dv + 15) / 16 * 16;
    rows_at_once = std::clamp<int64_t>(8192 / std::max(query_stride, width), 1, kMostRows);
  }
};

// Rows [begin, end) of one sequence and kv head: row r is head r % group of the sequence's token r / group.
struct Tile {
  int64_t sequence = 0, kv_head = 0, begin = 0, end = 0;
  int64_t first_key = 0, last_key = 0;  // of all its rows
  int64_t first_chunk() const noexcept { return first_key / kChunkKeys; }
  int64_t last_chunk() const noexcept { return last_key / kChunkKeys; }
};

// A worker's memory, on its stack.
struct Workspace {
  alignas(64) float queries[8192 + 64];
  alignas(64) float mixed[8192 + 64], merged[8192 + 64];
  alignas(64) float scores[kMostRows * kBlockKeys];
  alignas(64) float values[kBlockKeys * kMostWidth];
  alignas(64) uint32_t keys[kBlockKeys * kMostWidth];
  alignas(64) float totals[kMostRows * kTotalLanes], merged_totals[kMostRows * kTotalLanes];
  float top[kMostRows], merged_top[kMostRows];
  int32_t first[kMostRows], last[kMostRows];
};

void clear(const Running& running, int64_t rows) {
  std::fill_n(running.top, rows, kNothing);
  std::fill_n(running.totals, rows * kTotalLanes, 0.0f);
  std::fill_n(running.mixed, rows * running.width, 0.0f);
}

// The tile's queries as F32 and the keys that each row sees.
void load_queries(const Job& job, const Tile& tile, Workspace& w) {
  const StepView& step = job.launch.step;
  for (int64_t r = tile.begin; r < tile.end; ++r) {
    const int64_t i = r - tile.begin, token = step.sequence_begin[tile.sequence] + r / job.group;
    const int64_t head = tile.kv_head * job.group + r % job.group;
    float* const to = w.queries + i * job.query_stride;
    if (job.q.dtype == DType::f32)
      std::copy_n(job.q.row<const float>(token) + head * job.d, job.d, to);
    else
      job.block.widen(job.q.row<const uint16_t>(token) + head * job.d, job.d, to);
    std::fill(to + job.d, to + job.query_stride, 0.0f);
    const int64_t position = step.positions[token];
    w.first[i] = static_cast<int32_t>(first_key(job.kind, position)), w.last[i] = static_cast<int32_t>(position);
  }
}

// The tile's rows over the keys of one chunk, into `running`, which is cleared first.
void attend_chunk(const Job& job, const Tile& tile, int64_t chunk, Workspace& w, const Running& running) {
  clear(running, tile.end - tile.begin);
  Block b;
  b.queries = w.queries, b.rows = tile.end - tile.begin, b.query_stride = job.query_stride;
  b.keys = w.keys, b.bf16_keys = job.k.dtype == DType::bf16, b.key_units = b.bf16_keys ? (job.d + 1) / 2 : job.d;
  b.values = w.values, b.first = w.first, b.last = w.last, b.scores = w.scores, b.running = running;
  b.scale = job.call.op.scale, b.soft_cap = job.call.op.soft_cap;
  const int64_t begin = std::max(chunk * kChunkKeys, tile.first_key / kBlockKeys * kBlockKeys);
  const int64_t end = std::min((chunk + 1) * kChunkKeys, tile.last_key + 1);
  for (b.first_position = begin; b.first_position < end; b.first_position += kBlockKeys) {
    // What no row sees is written as zero: a weight of 0 times whatever lies there could be NaN.
    const std::byte *keys[kBlockKeys], *values[kBlockKeys];
    for (int64_t i = 0; i < kBlockKeys; ++i) {
      const int64_t position = b.first_position + i;
      const bool there = position >= tile.first_key && position <= tile.last_key;
      const std::byte* const key = there ? slot(*job.launch.state, job.table, tile.sequence, position, 0) : nullptr;
      const std::byte* const value = there ? slot(*job.launch.state, job.table, tile.sequence, position, 1) : nullptr;
      keys[i] = key == nullptr ? nullptr : key + tile.kv_head * job.d * size_of(job.k.dtype);
      values[i] = value == nullptr ? nullptr : value + tile.kv_head * job.dv * size_of(job.v.dtype);
    }
    pack_keys(keys, job.k.dtype, job.d, w.keys);
    for (int64_t i = 0; i < kBlockKeys; ++i) {
      float* const to = w.values + i * job.width;
      if (values[i] == nullptr)
        std::fill_n(to, job.dv, 0.0f);
      else if (job.v.dtype == DType::f32)
        std::memcpy(to, values[i], static_cast<size_t>(job.dv * 4));
      else
        job.block.widen(reinterpret_cast<const uint16_t*>(values[i]), job.dv, to);
      std::fill(to + job.dv, to + job.width, 0.0f);
    }
    job.block.attend(b);
  }
}

void store(const Job& job, const Tile& tile, const Running& running, float* divided) {
  const int64_t rows = tile.end - tile.begin;
  job.block.divide(running, rows, divided);
  for (int64_t r = tile.begin; r < tile.end; ++r) {
    const int64_t token = job.launch.step.sequence_begin[tile.sequence] + r / job.group;
    const int64_t head = tile.kv_head * job.group + r % job.group;
    TensorView to = job.out;
    to.data = static_cast<std::byte*>(to.data) + head * job.dv * size_of(to.dtype);
    store_row(to, token, {divided + (r - tile.begin) * job.width, static_cast<size_t>(job.dv)});
  }
}

Running running_of(const Job& job, Workspace& w) { return {w.top, w.totals, w.mixed, job.width}; }
Running merged_of(const Job& job, Workspace& w) { return {w.merged_top, w.merged_totals, w.merged, job.width}; }

void attend_tile(const Job& job, const Tile& tile, Workspace& w) {
  load_queries(job, tile, w);
  const Running running = running_of(job, w), merged = merged_of(job, w);
  clear(merged, tile.end - tile.begin);
  for (int64_t chunk = tile.first_chunk(); chunk <= tile.last_chunk(); ++chunk) {
    attend_chunk(job, tile, chunk, w, running);
    job.block.merge(running, merged, tile.end - tile.begin);
  }
  store(job, tile, merged, w.queries);
}

std::vector<Tile> tiles_of(const Job& job) {
  const StepView& step = job.launch.step;
  std::vector<Tile> tiles;
  for (int64_t s = 0; s < step.num_sequences; ++s) {
    const int64_t begin = step.sequence_begin[s], rows = (step.sequence_begin[s + 1] - begin) * job.group;
    // The last rows see the most keys: they go first, so that no thread begins a long tile when the others are done.
    for (int64_t r = (rows - 1) / job.rows_at_once * job.rows_at_once; rows > 0 && r >= 0; r -= job.rows_at_once)
      for (int64_t kv = 0; kv < job.kv_heads; ++kv) {
        Tile tile{.sequence = s, .kv_head = kv, .begin = r, .end = std::min(rows, r + job.rows_at_once)};
        tile.first_key = first_key(job.kind, step.positions[begin + tile.begin / job.group]);
        tile.last_key = step.positions[begin + (tile.end - 1) / job.group];
        tiles.push_back(tile);
      }
  }
  return tiles;
}

// Takes tasks as threads become free: which thread does what changes nothing.
template <class Body>
void share(CpuParallel& parallel, int64_t count, Body body) {
  std::atomic<int64_t> next = 0;
  parallel.run(std::min<int64_t>(count, parallel.threads()), 1, [&](int64_t, int64_t, int32_t) {
    Workspace w;
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) body(i, w);
  });
}

// Few tiles over many chunks, as in decoding a long context: chunks are shared out, and merged in order afterwards.
void attend_by_chunks(const Job& job, std::span<const Tile> tiles) {
  struct Piece {
    size_t tile;
    int64_t chunk;
    std::vector<float> top, totals, mixed;
  };
  std::vector<Piece> pieces;
  for (size_t t = 0; t < tiles.size(); ++t)
    for (int64_t chunk = tiles[t].first_chunk(); chunk <= tiles[t].last_chunk(); ++chunk) {
      const auto rows = static_cast<size_t>(tiles[t].end - tiles[t].begin);
      pieces.push_back({t, chunk, std::vector<float>(rows), std::vector<float>(rows * kTotalLanes),
                        std::vector<float>(rows * static_cast<size_t>(job.width))});
    }
  const auto of = [&](Piece& p) { return Running{p.top.data(), p.totals.data(), p.mixed.data(), job.width}; };
  share(job.call.parallel, std::ssize(pieces), [&](int64_t i, Workspace& w) {
    Piece& p = pieces[static_cast<size_t>(i)];
    load_queries(job, tiles[p.tile], w);
    attend_chunk(job, tiles[p.tile], p.chunk, w, of(p));
  });
  Workspace w;
  const Running merged = merged_of(job, w);
  for (size_t i = 0; i < pieces.size(); ++i) {
    const Tile& tile = tiles[pieces[i].tile];
    if (i == 0 || pieces[i - 1].tile != pieces[i].tile) clear(merged, tile.end - tile.begin);
    job.block.merge(of(pieces[i]), merged, tile.end - tile.begin);
    if (i + 1 == pieces.size() || pieces[i + 1].tile != pieces[i].tile) store(job, tile, merged, w.queries);
  }
}

}  // namespace

Status fast(const CpuCall<Attention>& call) {
  append(call.launch);
  const Job job(call);
  const std::vector<Tile> tiles = tiles_of(job);
  int64_t chunks = 0, rows = 0;
  for (const Tile& t : tiles) chunks += t.last_chunk() - t.first_chunk() + 1, rows += t.end - t.begin;
  const int64_t threads = call.parallel.threads();
  if (threads > 1 && std::ssize(tiles) < 4 * threads && chunks > std::ssize(tiles) && rows <= 4 * kMostRows)
    attend_by_chunks(job, tiles);
  else
    share(call.parallel, std::ssize(tiles),
          [&](int64_t i, Workspace& w) { attend_tile(job, tiles[static_cast<size_t>(i)], w); });
  return {};
}

Verdict supports_fast(const Attention& op, const Problem& problem, bool fma) {
  if (Verdict v = supports(op, problem); !v) return v;
  if (has_fma(best_cpu_target(problem.features)) != fma)
    return Verdict::no(fma ? "the CPU has no FMA" : "the CPU has FMA, whose sums round otherwise");
  const ProblemOp& p = problem.first();
  if (p.inputs.size() != 3 || p.inputs[0].shape.size() != 3 || p.inputs[2].shape.size() != 3)
    return Verdict::no("q, k and v are not [tokens, heads, width]");
  const int64_t d = p.inputs[0].shape[2].size, dv = p.inputs[2].shape[2].size;
  if (d > kMostWidth || dv > kMostWidth)
    return Verdict::no("heads are ", std::max(d, dv), " wide, at most ", kMostWidth);
  return Verdict::yes();
}

}  // namespace tare::attention
