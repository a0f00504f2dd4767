// Writes a model of a named shape with weights that look trained to a lossless code, as a Hugging Face folder:
// streaming, all cores, the same bytes for the same seed whatever the number of threads. [loader]: one call at a time a
// folder.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "core/synth/shape.hpp"
#include "core/synth/statistics.hpp"

namespace tare::synth {

struct Options {
  uint64_t seed = 0;
  int threads = 0;  // 0: all cores
  bool show_progress = false;
  std::function<bool()> stop = {};         // asked now and then: true ends the work as cancelled, and nothing stays
  int64_t shard_bytes = 5'000'000'000;     // at most, but a tensor is never cut; as Hugging Face's tools do
  std::optional<int64_t> free_bytes = {};  // of the disk, for tests; absent: asked
};
struct Written {
  Statistics statistics;
  int64_t weight_bytes = 0, shards = 0;
  double seconds = 0;
};
// Writes `folder`, which must not exist or be empty; it appears as a whole, after its statistics have been checked
// (check()). Memory: about 3 MiB a thread. Refused at once: a disk without the room (both figures).
Result<Written> write_model(const Shape& shape, const std::string& folder, const Options& options);

}  // namespace tare::synth
