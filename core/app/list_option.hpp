// Lists on the command line: "qkv,o", "1,8,16". [any thread]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare {

// What stands between commas, nothing included; none of "". A comma at the end begins no further one.
std::vector<std::string> split_list(std::string_view list);
// The same as numbers; one sentence that names `option` where one is none.
Result<std::vector<int64_t>> parse_numbers(std::string_view option, std::string_view list);

}  // namespace tare
