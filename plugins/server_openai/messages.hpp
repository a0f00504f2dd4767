// The messages of a chat: roles and contents checked, parts of text put together. [any thread]
#pragma once
#include "plugins/server_openai/api_error.hpp"
#include "plugins/server_openai/json.hpp"

namespace tare::server {

// `out`: a list of {"role", "content", ...} as chat templates expect them. "developer" becomes "system", the older name
// that templates know; parts of text are joined by line feeds.
Refusal read_messages(const JsonArray& messages, Json* out);

}  // namespace tare::server
