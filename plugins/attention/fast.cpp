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

// Rows [begin, end) of one sequence for some neighbouring kv heads: row r of kv head h is query head
// h · group + r % group of the sequence's token r / group. Kv heads share a tile where there are few rows: what they
// read lies side by side.
struct Tile {
  int64_t sequence = 0, begin = 0, end = 0, first_head = 0, num_heads = 1;
  int64_t first_key = 0, last_key = 0;  // of all its rows
  int64_t rows() const noexcept { return end - begin; }
  int64_t all_rows() const noexcept { return rows() * num_heads; }
  int64_t first_chunk() const noexcept { return first_key / kChunkKeys; }
  int64_t last_chunk() const noexcept { return last_key / kChunkKeys; }
};

// A worker's memory, on its stack. Rows lie kv head by kv head.
struct Workspace {
  alignas(64) float queries[8192];
  alignas(64) float mixed[8192], merged[8192];
  alignas(64) float scores[kMostRows * kBlockKeys];
  alignas(64) std::byte values[kBlockKeys * kMostWidth * 4];  // those that could not be read where they lie
  alignas(64) uint32_t keys[kBlockKeys * kMostWidth];
  alignas(64) float totals[kMostRows * kTotalLanes], merged_totals[kMostRows * kTotalLanes];
  float top[kMostRows], merged_top[kMostRows];
  int32_t first[kMostRows], last[kMostRows];  // of one kv head's rows: the others' are the same
};

void clear(const Running& running, int64_t rows) {
  std::fill_n(running.top, rows, kNothing);
  std::fill_n(running.totals, rows * kTotalLanes, 0.0f);
  std::fill_n(running.mixed, rows * running.width, 0.0f);
}
Running from_row(const Running& r, int64_t row) {
  return {r.top + row, r.totals + row * kTotalLanes, r.mixed + row * r.width, r.width};
}

// The token and query head of row i of a tile.
struct RowPlace {
  int64_t token, head;
};
RowPlace place_of(const Job& job, const Tile& tile, int64_t i) {
  const int64_t kv_head = tile.first_head + i / tile.rows(), r = tile.begin + i % tile.rows();
  return {job.launch.step.sequence_begin[tile.sequence] + r / job.group, kv_head * job.group + r % job.group};
}

// The tile's queries as F32 and the keys that each row sees.
void load_queries(const Job& job, const Tile& tile, Workspace& w) {
  for (int64_t i = 0; i < tile.all_rows(); ++i) {
    const RowPlace place = place_of(job, tile, i);
    float* const to = w.queries + i * job.query_stride;
    if (job.q.dtype == DType::f32)
      std::copy_n(job.q.row<const float>(place.token) + place.head * job.d, job.d, to);
    else
      job.block.widen(job.q.row<const uint16_t>(place.token) + place.head * job.d, job.d, to);
    std::fill(to + job.d, to + job.query_stride, 0.0f);
    if (i >= tile.rows()) continue;
    const int64_t position = job.launch.step.positions[place.token];
    w.first[i] = static_cast<int32_t>(first_key(job.kind, position)), w.last[i] = static_cast<int32_t>(position);
  }
}

// Where the keys and values of 64 positions lie, of the tile's first kv head; null for what no row of the tile sees.
struct Addresses {
  const std::byte *keys[kBlockKeys], *values[kBlockKeys];
};
void locate(const Job& job, const Tile& tile, int64_t first_position, Addresses& out) {
  const StateView& state = *job.launch.state;
  const int64_t element = size_of(job.k.dtype);
  const int64_t begin = std::max(first_position, tile.first_key),
                end = std::min(first_position + kBlockKeys, tile.last_key + 1);
  std::fill_n(out.keys, kBlockKeys, nullptr), std::fill_n(out.values, kBlockKeys, nullptr);
  for (int64_t position = begin; position < end;) {  // a page at a time
    const int64_t page_end = std::min(end, (position / state.page_tokens + 1) * state.page_tokens);
    const std::byte* key = slot(state, job.table, tile.sequence, position, 0);
    const std::byte* value = slot(state, job.table, tile.sequence, position, 1);
    for (; position < page_end; ++position) {
      if (key == nullptr) continue;
      out.keys[position - first_position] = key + tile.first_head * job.d * element;
      out.values[position - first_position] = value + tile.first_head * job.dv * element;
      key += state.parts[0].token_bytes, value += state.parts[1].token_bytes;
    }
  }
}
// Always inlined: a function that only prefetches counts as one without effects and would be dropped.
__attribute__((always_inline)) inline void fetch(const Job& job, const Tile& tile, const Addresses& at) {
  const int64_t key_bytes = tile.num_heads * job.d * size_of(job.k.dtype);
  const int64_t value_bytes = tile.num_heads * job.dv * size_of(job.v.dtype);
  for (int64_t i = 0; i < kBlockKeys; ++i) {
    if (at.keys[i] == nullptr) continue;
    for (int64_t line = 0; line < key_bytes; line += 64) __builtin_prefetch(at.keys[i] + line, 0, 2);
    for (int64_t line = 0; line < value_bytes; line += 64) __builtin_prefetch(at.values[i] + line, 0, 2);
  }
}

// Values of kv head `h` of the tile as the block reads them: where they lie, if vectors fit them.
void place_values(const Job& job, const Addresses& at, int64_t h, Workspace& w, const void** out) {
  alignas(64) static constexpr std::byte kZeros[kMostWidth * 4] = {};
  const int64_t bytes = job.dv * size_of(job.v.dtype), width_bytes = job.width * size_of(job.v.dtype);
  for (int64_t i = 0; i < kBlockKeys; ++i) {
    const std::byte* const from = at.values[i] == nullptr ? kZeros : at.values[i] + h * bytes;
    out[i] = from;
    if (job.width == job.dv || from == kZeros) continue;
    std::byte* const to = w.values + i * width_bytes;
    std::memcpy(to, from, static_cast<size_t>(bytes));
    std::memset(to + bytes, 0, static_cast<size_t>(width_bytes - bytes));
    out[i] = to;
  }
}

// The tile's rows over the keys of one chunk, into `running`, which is cleared first.
void attend_chunk(const Job& job, const Tile& tile, int64_t chunk, Workspace& w, const Running& running) {
  clear(running, tile.all_rows());
  Block b;
  b.rows = tile.rows(), b.query_stride = job.query_stride;
  b.keys = w.keys, b.bf16 = job.k.dtype == DType::bf16, b.key_units = b.bf16 ? (job.d + 1) / 2 : job.d;
  b.first = w.first, b.last = w.last, b.scores = w.scores;
  b.scale = job.call.op.scale, b.soft_cap = job.call.op.soft_cap;
  const int64_t begin = std::max(chunk * kChunkKeys, tile.first_key / kBlockKeys * kBlockKeys);
  const int64_t end = std::min((chunk + 1) * kChunkKeys, tile.last_key + 1);
  Addresses places[2];
  locate(job, tile, begin, places[0]);
  fetch(job, tile, places[0]);
  for (int64_t i = 0; begin + i * kBlockKeys < end; ++i) {
    b.first_position = begin + i * kBlockKeys;
    const Addresses &at = places[i % 2], &next = places[(i + 1) % 2];
    if (b.first_position + kBlockKeys < end) {
      locate(job, tile, b.first_position + kBlockKeys, places[(i + 1) % 2]);
      fetch(job, tile, next);
    }
    for (int64_t h = 0; h < tile.num_heads; ++h) {
      const std::byte* keys[kBlockKeys];
      const void* values[kBlockKeys];
      for (int64_t k = 0; k < kBlockKeys; ++k)
        keys[k] = at.keys[k] == nullptr ? nullptr : at.keys[k] + h * job.d * size_of(job.k.dtype);
      pack_keys(keys, job.k.dtype, job.d, w.keys);
      place_values(job, at, h, w, values);
      b.queries = w.queries + h * tile.rows() * job.query_stride;
      b.values = values, b.running = from_row(running, h * tile.rows());
      job.block.attend(b);
    }
  }
}

void store(const Job& job, const Tile& tile, const Running& running, float* divided) {
  job.block.divide(running, tile.all_rows(), divided);
  for (int64_t i = 0; i < tile.all_rows(); ++i) {
    const RowPlace place = place_of(job, tile, i);
    TensorView to = job.out;
    to.data = static_cast<std::byte*>(to.data) + place.head * job.dv * size_of(to.dtype);
    store_row(to, place.token, {divided + i * job.width, static_cast<size_t>(job.dv)});
  }
}

Running running_of(const Job& job, Workspace& w) { return {w.top, w.totals, w.mixed, job.width}; }
Running merged_of(const Job& job, Workspace& w) { return {w.merged_top, w.merged_totals, w.merged, job.width}; }

void attend_tile(const Job& job, const Tile& tile, Workspace& w) {
  load_queries(job, tile, w);
  const Running running = running_of(job, w), merged = merged_of(job, w);
  clear(merged, tile.all_rows());
  for (int64_t chunk = tile.first_chunk(); chunk <= tile.last_chunk(); ++chunk) {
    attend_chunk(job, tile, chunk, w, running);
    job.block.merge(running, merged, tile.all_rows());
  }
  store(job, tile, merged, w.queries);
}

// `most_heads`: kv heads that may share a tile.
std::vector<Tile> tiles_of(const Job& job, int64_t most_heads) {
  const StepView& step = job.launch.step;
  std::vector<Tile> tiles;
  for (int64_t s = 0; s < step.num_sequences; ++s) {
    const int64_t begin = step.sequence_begin[s], rows = (step.sequence_begin[s + 1] - begin) * job.group;
    if (rows == 0) continue;
    const int64_t heads = std::clamp<int64_t>(job.rows_at_once / rows, 1, most_heads);
    // The last rows see the most keys: they go first, so that no thread begins a long tile when the others are done.
    for (int64_t r = (rows - 1) / job.rows_at_once * job.rows_at_once; r >= 0; r -= job.rows_at_once)
      for (int64_t kv = 0; kv < job.kv_heads; kv += heads) {
        Tile tile{.sequence = s, .begin = r, .end = std::min(rows, r + job.rows_at_once), .first_head = kv};
        tile.num_heads = std::min(heads, job.kv_heads - kv);
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
      const auto rows = static_cast<size_t>(tiles[t].all_rows());
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
    if (i == 0 || pieces[i - 1].tile != pieces[i].tile) clear(merged, tile.all_rows());
    job.block.merge(of(pieces[i]), merged, tile.all_rows());
    if (i + 1 == pieces.size() || pieces[i + 1].tile != pieces[i].tile) store(job, tile, merged, w.queries);
  }
}

}  // namespace

Status fast(const CpuCall<Attention>& call) {
  append(call.launch);
  const Job job(call);
  const int64_t threads = call.parallel.threads();
  std::vector<Tile> tiles;
  int64_t chunks = 0, rows = 0;
  for (int64_t heads = job.kv_heads;; heads = (heads + 1) / 2) {  // as many tasks as keep the threads busy
    tiles = tiles_of(job, heads);
    chunks = rows = 0;
    for (const Tile& t : tiles) chunks += t.last_chunk() - t.first_chunk() + 1, rows += t.all_rows();
    if (heads == 1 || threads == 1 || chunks >= 2 * threads) break;
  }
  if (threads > 1 && std::ssize(tiles) < 2 * threads && chunks > std::ssize(tiles) && rows <= 4 * kMostRows)
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
