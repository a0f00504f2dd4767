#include "plugins/rotary/tables.hpp"

#include <algorithm>
#include <cmath>

namespace tare::rotary {

std::shared_ptr<const Table> LatestTable::of(std::span<const int32_t> positions, CpuParallel& parallel) {
  {
    const std::lock_guard lock(mutex_);
    if (table_ != nullptr && std::ranges::equal(table_->positions, positions)) return table_;
  }
  const size_t pairs = frequencies_.size();
  auto fresh = std::make_shared<Table>();
  fresh->positions.assign(positions.begin(), positions.end());
  fresh->cosine.resize(positions.size() * pairs), fresh->sine.resize(positions.size() * pairs);
  const auto fill = [&](int64_t begin, int64_t end, int32_t) {
    for (auto t = static_cast<size_t>(begin); t < static_cast<size_t>(end); ++t)
      for (size_t j = 0; j < pairs; ++j) {
        const float angle = static_cast<float>(fresh->positions[t]) * frequencies_[j];
        fresh->cosine[t * pairs + j] = std::cos(angle), fresh->sine[t * pairs + j] = std::sin(angle);
      }
  };
  if (positions.size() == 1)
    fill(0, 1, 0);
  else
    parallel.run(std::ssize(positions), std::max<int64_t>(1, 2048 / std::max<int64_t>(1, std::ssize(frequencies_))),
                 fill);
  const std::lock_guard lock(mutex_);
  return table_ = fresh;
}

std::shared_ptr<LatestTable> Tables::by(const std::vector<float>& frequencies) {
  const std::string key(reinterpret_cast<const char*>(frequencies.data()), frequencies.size() * sizeof(float));
  const std::lock_guard lock(mutex_);
  std::erase_if(tables_, [](const auto& entry) { return entry.second.expired(); });
  auto& kept = tables_[key];
  auto table = kept.lock();
  if (table == nullptr) kept = table = std::make_shared<LatestTable>(frequencies);
  return table;
}

}  // namespace tare::rotary
