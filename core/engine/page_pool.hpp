// PagePool: which pages of one state group are free. Numbers only; the memory is the executor's. One thread.
#pragma once
#include <cstdint>
#include <vector>

namespace tare {

class PagePool {
 public:
  explicit PagePool(int32_t num_pages) : total_(num_pages) {
    free_.reserve(static_cast<size_t>(num_pages));
    for (int32_t page = num_pages; page-- > 0;) free_.push_back(page);
  }
  int64_t total() const noexcept { return total_; }
  int64_t available() const noexcept { return static_cast<int64_t>(free_.size()); }
  // A free page; available() must not be 0.
  int32_t take() noexcept {
    const int32_t page = free_.back();
    free_.pop_back();
    return page;
  }
  // The page given back last is handed out first: its memory is warm.
  void give_back(int32_t page) noexcept { free_.push_back(page); }

 private:
  int32_t total_;
  std::vector<int32_t> free_;
};

}  // namespace tare
