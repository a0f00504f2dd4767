// A point in time on the command line. [any thread]
#pragma once
#include <cstdint>
#include <string_view>

#include "core/api/status.hpp"

namespace tare {

// Seconds since 1970 (UTC) from "1732500000" or "2024-11-25[THH:MM:SS]"; one sentence otherwise.
Result<int64_t> parse_time(std::string_view text);

}  // namespace tare
