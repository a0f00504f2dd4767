// RingPlaces: which part of a piece of memory is whose, where places are given back in the order in which they were
// taken. Plain arithmetic; one thread at a time.
#pragma once
#include <cstdint>
#include <deque>
#include <optional>

namespace tare {

class RingPlaces {
 public:
  // Places begin at multiples of `alignment`.
  explicit RingPlaces(int64_t bytes = 0, int64_t alignment = 256) : alignment_(alignment), bytes_(aligned(bytes)) {}
  int64_t bytes() const noexcept { return bytes_; }
  // Where `bytes` lie now, as one piece behind the newest place; nothing where others are in the way.
  std::optional<int64_t> take(int64_t bytes) {
    bytes = aligned(bytes);
    const auto at = fits(bytes);
    if (at) taken_.push_back({*at, *at + bytes});
    return at;
  }
  void give_back_oldest() { taken_.pop_front(); }

 private:
  struct Place {
    int64_t begin, end;
  };
  int64_t aligned(int64_t bytes) const noexcept { return (bytes + alignment_ - 1) / alignment_ * alignment_; }
  std::optional<int64_t> fits(int64_t bytes) const noexcept {
    if (taken_.empty()) return bytes <= bytes_ ? std::optional<int64_t>(0) : std::nullopt;
    const int64_t oldest = taken_.front().begin, head = taken_.back().end;
    const bool wrapped = taken_.back().begin < oldest;
    if (!wrapped && head + bytes <= bytes_) return head;
    const int64_t begin = wrapped ? head : 0;
    return begin + bytes <= oldest ? std::optional(begin) : std::nullopt;
  }
  int64_t alignment_, bytes_;
  std::deque<Place> taken_;  // oldest first
};

}  // namespace tare
