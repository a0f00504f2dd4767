// 128-bit hashes as text: the names of cache entries. XXH3 (https://github.com/Cyan4973/xxHash). Pure: [any thread].
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace tare::jit {

// 32 hex digits. Not cryptographic: it guards against accidents, not against an adversary.
std::string hash_text(std::string_view bytes);

}  // namespace tare::jit
