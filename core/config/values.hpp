// Values of settings as text: sizes, durations, shares. [any thread]
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tare {

// "8MiB", "1.5 GiB", "512 kB", "100": bytes; nothing when it is none or beyond 2^62. KiB, MiB, GiB, TiB count 1024, kB,
// MB, GB, TB 1000.
std::optional<int64_t> parse_size(std::string_view text);
std::string print_size(int64_t bytes);  // the largest unit that divides it: "8MiB"
// "250ms", "10s", "5min", "1h": milliseconds.
std::optional<int64_t> parse_duration_ms(std::string_view text);
std::string print_duration_ms(int64_t milliseconds);
// "90%": 0.9.
std::optional<double> parse_share(std::string_view text);
std::string print_share(double share);

// Steps of so many tokens, and their share of all steps.
struct BatchShare {
  int64_t rows = 1;
  double share = 1;
  bool operator==(const BatchShare&) const = default;
};
// "mix:1=0.7,16=0.3": sorted by rows (1 to 4096, each once, at most 16 of them); shares are above 0 and are made to add
// up to 1.
std::optional<std::vector<BatchShare>> parse_mix(std::string_view text);
std::string print_mix(const std::vector<BatchShare>& mix);

}  // namespace tare
