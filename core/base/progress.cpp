#include "core/base/progress.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace tare {

std::string human_bytes(int64_t bytes) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < std::size(units)) value /= 1024, ++unit;
  char out[32];
  std::snprintf(out, sizeof out, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return out;
}
std::string human_duration(double seconds) {
  const long long whole = static_cast<long long>(std::clamp(seconds, 0.0, 1e9) + 0.5);
  char out[32];
  if (whole >= 3600)
    std::snprintf(out, sizeof out, "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  else
    std::snprintf(out, sizeof out, "%lld:%02lld", whole / 60, whole % 60);
  return out;
}
std::string progress_line(std::string_view label, int64_t done, int64_t total, double seconds) {
  done = std::clamp<int64_t>(done, 0, total);
  const double share = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  constexpr int kWidth = 20;
  const int filled = static_cast<int>(share * kWidth);
  std::string bar(static_cast<size_t>(filled), '=');
  if (filled < kWidth) bar += '>';
  bar.resize(kWidth, ' ');
  char percent[16];
  std::snprintf(percent, sizeof percent, "%3d%%", static_cast<int>(share * 100));
  std::string line =
      std::string(label) + " " + percent + " [" + bar + "] " + human_bytes(done) + " of " + human_bytes(total);
  if (seconds > 0 && done > 0) {
    const double rate = static_cast<double>(done) / seconds;
    line += ", " + human_bytes(static_cast<int64_t>(rate)) + "/s, " +
            human_duration(static_cast<double>(total - done) / rate) + " left";
  }
  return line;
}

bool Progress::stderr_is_terminal() noexcept { return ::isatty(STDERR_FILENO) == 1; }
Progress::Progress(std::string label, int64_t total, bool shown)
    : label_(std::move(label)), total_(total), shown_(shown) {}
Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}
void Progress::advance(int64_t bytes) {
  const int64_t done = done_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (!shown_) return;
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start_).count();
  int64_t next = next_draw_ms_.load(std::memory_order_relaxed);
  if (elapsed < next || !next_draw_ms_.compare_exchange_strong(next, elapsed + 100)) return;
  const std::string line = "\r" + progress_line(label_, done, total_, static_cast<double>(elapsed) / 1000) + "\033[K";
  const std::lock_guard lock(drawing_);
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

}  // namespace tare
