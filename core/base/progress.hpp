// A progress bar on standard error for long work, with rate and remaining time; silent when standard error is no
// terminal. Thread rule: `advance` is [any thread]; the rest belongs to one thread.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace tare {

// "12.3 GiB", "512 B": for people.
std::string human_bytes(int64_t bytes);
// "1:02:03", "0:07".
std::string human_duration(double seconds);
// One line of a bar: "loading  45% [=========>          ] 1.2 GiB of 2.6 GiB, 1.1 GiB/s, 0:02 left".
std::string progress_line(std::string_view label, int64_t done, int64_t total, double seconds);

class Progress {
 public:
  // `total`: bytes of work. `shown` false: nothing is ever written.
  Progress(std::string label, int64_t total, bool shown = stderr_is_terminal());
  ~Progress();  // takes the bar away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void advance(int64_t bytes);  // cheap: draws at most ten times a second
  static bool stderr_is_terminal() noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  int64_t total_;
  bool shown_;
  Clock::time_point start_ = Clock::now();
  std::atomic<int64_t> done_ = 0, next_draw_ms_ = 200;
  std::mutex drawing_;
  bool drawn_ = false;
};

}  // namespace tare
