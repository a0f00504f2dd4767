// Measures the products of a layer, singly and chained, against the vendor's best, interleaved in one process, with
// exactness checks: what stands behind `tare bench linear` on CUDA. One thread.
#pragma once
#include <string>
#include <vector>

#include "autotune/linear_lab.hpp"
#include "plugins/linear/cuda/bench/kernel_records.hpp"
#include "plugins/linear/cuda/bench/layer.hpp"

namespace tare::linear_cuda::bench {

// A candidate and what it took.
struct Best {
  AnyConfig config = PortableConfig{};
  double us = 0;
};

class Measurement {
 public:
  // `vendor`: opened, or null. All outlive it. Throws Lost, as everything here.
  Measurement(const LinearBenchRequest& request, Lab& lab, VendorProducts* vendor, jit::Jit& jit,
              const DeviceInfo& info);
  void run();
  uint64_t compared() const noexcept { return compared_; }
  uint64_t wrong() const noexcept { return wrong_; }

 private:
  // What was found of one number of rows.
  struct Found {
    std::vector<Best> best;                // by matrix
    std::vector<std::vector<Best>> timed;  // by matrix: what may also be best in the chain
    std::vector<int> vendor_way;           // by matrix; -1: none
    double ratios = 1;                     // product of the singles' speed-ups
    double fixed_us = 0, free_us = 0;      // the chained products singly: own order of sums, the best for these rows
  };
  void lay();
  void describe(const Matrix& m);
  void compile();
  std::vector<int32_t> other_orders(size_t matrix) const;
  // Differing outputs of a candidate, packed and dense.
  uint64_t check(Matrix& m, const AnyConfig& config, int32_t tokens);
  void single(size_t matrix, int32_t tokens, Found& found);
  void price_of_order(int32_t tokens, Found& found);
  double chained_us(const std::vector<Best>& set, int32_t tokens);
  // Puts the set that is fastest in the chain into found.best. Returns the next best that was tried; empty: none.
  std::vector<Best> search_chain(int32_t tokens, Found& found);
  void chained(int32_t tokens, Found& found);
  // Sustained times of `rivals` that take turns in slices, in an order that favours none of two.
  std::vector<Lab::Sustained> take_turns(std::vector<Lab::Recorded*> rivals, int rounds);
  // Ours, the better of the sets `best` and `second` (empty: none), and the vendor's; configs: of ours.
  std::pair<Lab::Sustained, Lab::Sustained> sustained(const std::vector<Best>& best, const std::vector<Best>& second,
                                                      Lab::Recorded& theirs, int32_t tokens, std::string& configs);
  Lab::Work chain(const std::vector<Best>& set, int32_t tokens, bool dependent, bool dense);
  void say(const char* format, ...) const __attribute__((format(printf, 2, 3)));
  void record(const std::string& json) const;
  void stop_if_asked() const;
  std::string configs_of(const std::vector<Best>& set) const;  // as records list them
  int rest_ms(int32_t tokens) const noexcept { return tokens >= 128 ? 60 : 5; }
  int rest_between_ms(int32_t tokens) const noexcept { return tokens >= 128 ? 20 : 0; }
  // From 10 ms on a replay meets the power cap.
  int layers(int32_t tokens) const noexcept {
    return tokens >= 4096 ? 1 : tokens >= 2048 ? 2 : tokens >= 1024 ? 4 : tokens >= 256 ? 8 : 16;
  }

  const LinearBenchRequest& request_;
  Lab& lab_;
  VendorProducts* const vendor_;
  jit::Jit& jit_;
  const DeviceInfo& info_;
  const WeightKind kind_;
  const WeightCode code_;
  Layer layer_;
  KernelRecords kernels_;
  std::vector<bool> chained_;                                 // by matrix
  double layer_bytes_ = 0, layer_flops_ = 0, bandwidth_ = 0;  // flops of a row; bytes a second
  uint64_t compared_ = 0, wrong_ = 0;
};

}  // namespace tare::linear_cuda::bench
