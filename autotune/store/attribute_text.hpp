// The way back from printed attributes, "{prefetch = 8, target = best}", as tuning entries keep a kernel's config.
// Pure, [any thread].
#pragma once
#include "core/api/attributes.hpp"

namespace tare {

// What to_string(Attributes) printed. Refused with what was found and what was expected.
Result<Attributes> parse_attributes(std::string_view printed);

}  // namespace tare
