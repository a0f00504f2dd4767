// Copies of records from the resident order into a slot of the ring. A tile's strips may lie in several blocks of the
// order; each stretch inside one block is a run: one bulk copy of payloads and one of headers a chunk. [device; the
// producer thread]
#pragma once
#include "jit/cuh/copy.cuh"
#include "plugins/linear/cuda/record.hpp"

namespace tare::linear_cuda {

// The strips [first, first + count) of one tile: computed once a tile, so that a stage costs a few adds.
struct RunSource {
  const uint8_t* first;  // the part's record of the first strip at chunk 0
  int place;             // of the first strip inside its block
  int block;
};

// The records as tensors {8-byte words of a record, strip of the block, chunk, block}: one copy brings a tile's share
// of some chunks.
struct RecordMaps {
  device::TensorMap payload, headers;
};

enum class Part { kPayload, kHeaders };

// Issues the copies of one part of the records: payloads or headers. Two threads share the work, one a part: a thread
// issues a bulk copy in about 110 cycles, which is what limits tiles of short runs. strips: how many a tile has;
// k_groups: neighbouring chunks a slot holds; record_bytes: of the part. In the slot records lie as [run][chunk][strip
// of the run] when k_groups > 1 and runs are whole blocks, else as [chunk][strip]. k_groups > 1 needs strips_per_block
// to divide `strips` or the other way round; k_groups == 1 takes any stretch of strips.
// tensor: one tensor copy takes the whole slot, whatever the runs; needs strips_per_block to divide `strips` or the
// other way round.
template <int record_bytes, int strips, int k_groups, bool tensor>
struct RunCopier {
  const uint8_t* records;
  const device::TensorMap* map;
  int64_t chunks;
  int strips_per_block;
  uint64_t policy;

  __device__ __forceinline__ RunSource source(int first_strip) const {
    const int block = first_strip / strips_per_block;
    const int place = first_strip - block * strips_per_block;
    return {records + (block * chunks * strips_per_block + place) * record_bytes, place, block};
  }

  // The copies of chunks [chunk, chunk + k_groups) into the slot at `to`.
  __device__ __forceinline__ void issue(const RunSource& s, int chunk, uint32_t to, uint32_t barrier) const {
    if constexpr (tensor) {
      device::copy_tensor_4d(to, map, 0, s.place, chunk, s.block, barrier, policy);
      return;
    }
    const int64_t chunk_bytes = int64_t{strips_per_block} * record_bytes, block_bytes = chunks * chunk_bytes;
    const uint8_t* from = s.first + chunk * chunk_bytes;
    if (k_groups > 1 &&
        strips_per_block <= strips) {  // whole blocks: their chunks are neighbours, one copy takes them all
      const int bytes = strips_per_block * k_groups * record_bytes;
      for (int at = 0; at < strips * k_groups * record_bytes; at += bytes) {
        device::copy_bulk(to + at, from, bytes, barrier, policy);
        from += block_bytes;
      }
      return;
    }
    int place = s.place;
    for (int done = 0; done < strips;) {
      const int n = min(strips_per_block - place, strips - done);
#pragma unroll
      for (int k = 0; k < k_groups; ++k) {
        device::copy_bulk(to + (k * strips + done) * record_bytes, from + k * chunk_bytes, n * record_bytes, barrier,
                          policy);
      }
      from += block_bytes - int64_t{place} * record_bytes;
      place = 0;
      done += n;
    }
  }
};

// Where record (strip of the tile, chunk of the slot) lies in the slot, in records.
template <int strips, int k_groups>
__device__ __forceinline__ int slot_record(int strip, int k_group, int strips_per_block) {
  if (k_groups == 1 || strips_per_block >= strips) return k_group * strips + strip;
  return (strip / strips_per_block * k_groups + k_group) * strips_per_block + strip % strips_per_block;
}

}  // namespace tare::linear_cuda
