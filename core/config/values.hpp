// Values of settings as text: sizes, durations, shares. [any thread]
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

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

}  // namespace tare
