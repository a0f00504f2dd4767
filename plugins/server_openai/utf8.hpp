// UTF-8 (RFC 3629): is it, how many characters, and a repaired copy. [any thread]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tare::server {

bool is_utf8(std::string_view text) noexcept;
// The same text with U+FFFD in place of every byte that is part of no character.
std::string repaired_utf8(std::string_view text);
// Characters (code points) of valid UTF-8.
int64_t characters(std::string_view text) noexcept;

}  // namespace tare::server
