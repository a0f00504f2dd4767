// Cosines and sines of a step, one for each token and pair, shared by all rotary ops that turn by the same frequencies:
// q and k of every layer take the same, so a step computes them once.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/api/device.hpp"

namespace tare::rotary {

// Immutable once made.
struct Table {
  std::vector<int32_t> positions;
  std::vector<float> cosine, sine;  // [positions][frequencies]
};

// The latest table of one set of frequencies. [any thread]: a step of another model may replace it, and those who hold
// the older one keep it.
class LatestTable {
 public:
  explicit LatestTable(std::vector<float> frequencies) : frequencies_(std::move(frequencies)) {}
  const std::vector<float>& frequencies() const noexcept { return frequencies_; }
  std::shared_ptr<const Table> of(std::span<const int32_t> positions, CpuParallel& parallel);

 private:
  const std::vector<float> frequencies_;
  std::mutex mutex_;
  std::shared_ptr<const Table> table_;
};

// One LatestTable for each set of frequencies in use. [any thread]
class Tables {
 public:
  std::shared_ptr<LatestTable> by(const std::vector<float>& frequencies);

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<LatestTable>> tables_;  // by the frequencies' bytes
};

}  // namespace tare::rotary
