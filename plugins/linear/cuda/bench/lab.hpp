// What a measurement needs around the kernels: memory, data, timing by graph replays, checks. One thread.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "autotune/sensors.hpp"
#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda::bench {

// A step that failed: a measurement that lost one has nothing to say. Thrown inside this folder, caught at its doors.
struct Lost {
  Status status;
};
void must(const Status& status);
template <class T>
T must(Result<T> result) {
  must(result.ok() ? Status() : result.status());
  return std::move(result).value();
}

enum class WeightKind : int32_t { gaussian = 0, trained = 1, clustered = 2, adversarial = 3 };
const char* name(WeightKind kind);

class Lab {
 public:
  // All outlive it.
  Lab(Device& device, jit::CudaLaunch& launcher, jit::Jit& jit);

  Toolbox tools() { return {device_, launcher_, jit_}; }
  Stream& stream() { return *stream_; }
  Workspace& workspace() { return workspace_; }

  std::unique_ptr<Buffer> memory(size_t bytes, const char* label);
  void fill_weights(void* weights, int64_t rows, int64_t columns, WeightKind kind, uint64_t seed);
  void fill_activations(void* activations, int64_t count, uint64_t seed);
  void poison(void* output, size_t bytes);
  uint64_t differences(const void* a, const void* b, int64_t count);
  // ||output - exact|| / ||exact|| over samples, exact in double precision from the same bf16 inputs.
  double relative_error(const void* weights, const void* activations, const void* output, int32_t tokens, int32_t rows,
                        int32_t columns);
  // Bytes a second of a kernel that only reads, over 4 GiB: many times what L2 holds.
  double read_bandwidth();

  // Microseconds of one call of `work(i)`, i = 0 .. calls-1 recorded into one graph that is replayed: the median of
  // `rounds` replays.
  struct Recorded {
    std::unique_ptr<RecordedWork> graph;
    int calls = 0;
  };
  using Work = std::function<Status(Stream&, int)>;
  Recorded record(const Work& work, int calls);
  double replay_us(Recorded& recorded);  // one replay
  // After a rest, so that the clock is the same for all; replays should last a few milliseconds.
  double burst_us(Recorded& recorded, int rounds, int rest_ms);
  // Replays for `seconds`: the median time of the second half, the clock, the energy of a call (0 when the driver's
  // management library does not count it).
  struct Sustained {
    double us = 0, gigahertz = 0, millijoules = 0;
  };
  Sustained sustained(Recorded& recorded, double seconds);
  // The multiprocessors' clock during a burst of `rounds` replays after a rest.
  double burst_gigahertz(Recorded& recorded, int rounds, int rest_ms);

 private:
  double joules() const { return sensors_ != nullptr ? sensors_->read().joules : 0; }
  jit::CudaKernel& kernel(const char* name);
  void stamp(int which);
  double stamped_gigahertz();
  void launch(const char* kernel, jit::LaunchShape shape, std::vector<void*> arguments);
  Device& device_;
  jit::CudaLaunch& launcher_;
  jit::Jit& jit_;
  std::unique_ptr<Stream> stream_;
  Workspace workspace_;
  std::unique_ptr<Buffer> counters_, stamps_;
  std::map<std::string, std::shared_ptr<jit::CudaKernel>> kernels_;  // of bench.cuh, once loaded
  DeviceSensors* const sensors_;                                     // null: the driver has none
};

}  // namespace tare::linear_cuda::bench
