// Which pieces of which tiles a cluster of wide.cuh runs, and the flags by which clusters hand sums to each other.
// [device]
#pragma once
#include <cstdint>

namespace tare::linear_cuda {

// A stretch of a tile's K steps (in leaf order) that one cluster runs in one go: steps [begin, end) of one leaf, or
// leaves [first_leaf, last_leaf] whole.
struct WidePiece {
  int tile, begin, end;
  int first_leaf = 0, last_leaf = 0;
};

// Which pieces a cluster runs, in order; the same on every thread.
struct WideSchedule {
  int chunks, whole_tiles, clusters, cluster;  // tiles [0, whole_tiles) are dealt out whole, the rest is cut evenly
  int whole, cut_begin, cut_end, pieces;       // of this cluster: whole tiles; its stretch of steps of the cut tiles
  bool head, tail;                             // the stretch ends, begins inside a tile
  __device__ __forceinline__ WideSchedule(int tiles, int chunks_, int clusters_, int cluster_, bool cut)
      : chunks(chunks_), clusters(clusters_), cluster(cluster_) {
    // A cut part is between one and two tiles a cluster, so that a cluster meets at most one beginning and one end.
    whole_tiles = cut ? (tiles / clusters - 1) * clusters : tiles;
    whole = (whole_tiles - cluster + clusters - 1) / clusters;
    const int64_t steps = int64_t{tiles - whole_tiles} * chunks;
    cut_begin = static_cast<int>(steps * cluster / clusters) & ~1;
    cut_end = static_cast<int>(steps * (cluster + 1) / clusters) & ~1;
    head = cut_end % chunks != 0;
    tail = cut_begin % chunks != 0;
    const int first_full = (cut_begin + chunks - 1) / chunks, full = cut_end / chunks - first_full;
    pieces = whole + (head ? 1 : 0) + full + (tail ? 1 : 0);
  }
  __device__ __forceinline__ WidePiece piece(int i) const {
    if (i < whole) return {cluster + i * clusters, 0, chunks};
    i -= whole;
    if (head) {
      if (i == 0) return {whole_tiles + cut_end / chunks, 0, cut_end % chunks};
      --i;
    }
    const int first_full = (cut_begin + chunks - 1) / chunks, full = cut_end / chunks - first_full;
    if (i < full) return {whole_tiles + first_full + i, 0, chunks};
    return {whole_tiles + cut_begin / chunks, cut_begin % chunks, chunks};
  }
};

// Rounds of whole tiles, then the last round's leaves, `leaves` for each of `shares` clusters a tile.
struct RestSchedule {
  int whole_tiles, clusters, cluster;
  int whole, pieces;  // of this cluster: whole tiles; those and its share of another
  // The same rule on every cluster: only what all of them can take at once is shared, so that whoever waits in a share
  // waits for work that every other cluster of its tile comes to without waiting.
  __device__ __forceinline__ RestSchedule(int tiles, int clusters_, int cluster_, int shares)
      : whole_tiles(tiles / clusters_ * clusters_), clusters(clusters_), cluster(cluster_) {
    if ((tiles - whole_tiles) * shares > clusters) whole_tiles = tiles;
    whole = (whole_tiles - cluster + clusters - 1) / clusters;
    pieces = whole + (cluster < (tiles - whole_tiles) * shares ? 1 : 0);
  }
};

__device__ __forceinline__ void set_flag(uint32_t* flag) {
  asm volatile("fence.acq_rel.gpu;\nfence.proxy.async;" ::: "memory");
  asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(flag), "r"(1) : "memory");
}
// Waits for the flag, leaves it zero for the next launch, and lets the copy engine see what was written before it.
__device__ __forceinline__ void take_flag(uint32_t* flag) {
  uint32_t there;
  do {
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(there) : "l"(flag) : "memory");
  } while (there == 0);
  *flag = 0;
  asm volatile("fence.proxy.async;" ::: "memory");
}

}  // namespace tare::linear_cuda
