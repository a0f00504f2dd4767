// Text from a file or a request, made fit for one line of a message. [any thread]
#pragma once
#include <string>
#include <string_view>

namespace tare {

// Control characters are escaped (\n, \t, \u001b), broken UTF-8 becomes U+FFFD; what is longer than `most` bytes is cut
// and ends in "...".
std::string printable(std::string_view text, size_t most = std::string_view::npos);
// The same as a JSON string, quotes included; never cut.
std::string json_string(std::string_view text);

}  // namespace tare
