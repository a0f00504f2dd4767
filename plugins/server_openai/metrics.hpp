// Metrics: what /metrics shows beside the engine's own statistics: HTTP requests, connections, and how long tokens
// take. Prometheus text format 0.0.4. [any thread]
#pragma once
#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/engine.hpp"

namespace tare::server {

// Counts of observations by upper bound, in seconds.
class Histogram {
 public:
  static constexpr std::array<double, 16> kBounds{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2,
                                                  0.5,   1,     2,     5,    10,   20,   50,  100};
  void observe(double seconds) noexcept;
  // `labels`: "model=\"x\"".
  void print(std::string_view name, std::string_view labels, std::string* out) const;

 private:
  std::array<std::atomic<int64_t>, kBounds.size() + 1> counts_{};
  std::atomic<int64_t> sum_ns_{0};
};

struct ModelLatency {
  std::string model;
  Histogram first_token, output_token;
};

class Metrics {
 public:
  explicit Metrics(const std::vector<ServedModel>& models);
  void count_request(std::string_view route, int status);
  ModelLatency* latency(std::string_view model) noexcept;  // null: no such model
  void set_connections(int64_t open) noexcept { connections_ = open; }
  std::string print(const EngineClient& engine) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, int>, int64_t> requests_;  // by route and status
  std::vector<std::unique_ptr<ModelLatency>> latencies_;     // constant
  std::atomic<int64_t> connections_{0};
};

}  // namespace tare::server
