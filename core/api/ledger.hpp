// ledger/1: who holds how many bytes of one device, for what, under one budget. Every Device keeps one and hands it out
// through query("ledger/1"). Thread rule: [any thread].
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/api/device.hpp"

namespace tare {

class Ledger {
 public:
  static constexpr std::string_view kInterface = "ledger/1";
  struct Line {
    Purpose purpose = Purpose::weights;
    std::string label;    // the owner: "model/weights"
    int64_t bytes = 0;    // held now
    int64_t buffers = 0;  // held now
    bool operator==(const Line&) const = default;
  };

  Ledger(std::string device_id, int64_t budget_bytes) : device_id_(std::move(device_id)), budget_(budget_bytes) {}
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Takes `bytes` from the budget, or refuses with what is asked for and what is free, and changes nothing.
  Status reserve(int64_t bytes, Purpose purpose, std::string_view label) {
    const std::lock_guard lock(mutex_);
    if (bytes < 0) return invalid(device_id_, ": '", label, "' asks for ", bytes, " bytes, expected 0 or more");
    if (bytes > budget_ - in_use_)
      return failure(Code::exhausted, device_id_, ": '", label, "' (", name(purpose), ") needs ", with_unit(bytes),
                     ", but only ", with_unit(budget_ - in_use_), " of the budget of ", with_unit(budget_), " is free");
    in_use_ += bytes;
    peak_ = std::max(peak_, in_use_);
    Line& line = lines_[{purpose, std::string(label)}];
    line.purpose = purpose, line.label = label;
    line.bytes += bytes, line.buffers += 1;
    return {};
  }
  // Gives back what one reserve() took.
  void release(int64_t bytes, Purpose purpose, const std::string& label) noexcept {
    const std::lock_guard lock(mutex_);
    const auto at = lines_.find(std::pair<Purpose, std::string_view>(purpose, label));
    if (at == lines_.end()) return;
    in_use_ -= bytes;
    at->second.bytes -= bytes;
    if (--at->second.buffers == 0) lines_.erase(at);
  }
  int64_t budget() const noexcept { return budget_; }
  int64_t in_use() const {
    const std::lock_guard lock(mutex_);
    return in_use_;
  }
  int64_t peak() const {  // the most that was ever in use
    const std::lock_guard lock(mutex_);
    return peak_;
  }
  std::vector<Line> lines() const {  // by purpose, then label
    const std::lock_guard lock(mutex_);
    std::vector<Line> out;
    for (const auto& [key, line] : lines_) out.push_back(line);
    return out;
  }

  // "1536 bytes (1.5 KiB)": exact, and readable.
  static std::string with_unit(int64_t bytes) {
    constexpr std::string_view units[] = {"KiB", "MiB", "GiB", "TiB"};
    if (bytes < 1024) return text(bytes, " bytes");
    double value = static_cast<double>(bytes) / 1024;
    size_t unit = 0;
    for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
    const auto tenths = static_cast<int64_t>(value * 10 + 0.5);
    return text(bytes, " bytes (", tenths / 10, ".", tenths % 10, " ", units[unit], ")");
  }

 private:
  struct Less {
    using is_transparent = void;
    template <class A, class B>
    bool operator()(const A& a, const B& b) const noexcept {
      if (a.first != b.first) return a.first < b.first;
      return std::string_view(a.second) < std::string_view(b.second);
    }
  };
  const std::string device_id_;
  const int64_t budget_;
  mutable std::mutex mutex_;
  int64_t in_use_ = 0, peak_ = 0;
  std::map<std::pair<Purpose, std::string>, Line, Less> lines_;
};

}  // namespace tare
