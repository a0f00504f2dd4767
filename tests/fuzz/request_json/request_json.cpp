// libFuzzer: any bytes as a request's body, for each reader. What is JSON must be written so that it reads the same;
// every refusal must name something and be JSON itself.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "plugins/server_openai/api_error.hpp"
#include "plugins/server_openai/chat_request.hpp"
#include "plugins/server_openai/completion_request.hpp"
#include "plugins/server_openai/token_routes.hpp"

using namespace tare::server;

namespace {
void check(const Refusal& refusal) {
  if (refusal && (refusal->message.empty() || !parse_json(error_body(*refusal)).ok())) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = parse_json({reinterpret_cast<const char*>(data), size});
  if (!json.ok()) {
    if (json.status().message().empty()) std::abort();
    return 0;
  }
  const std::string written = to_text(*json);
  const auto again = parse_json(written);
  if (!again.ok() || to_text(*again) != written) std::abort();
  const auto* body = json->as<JsonObject>();
  if (body == nullptr) return 0;
  ChatRequest chat;
  const Refusal refused = read_chat_request(*body, &chat);
  check(refused);
  if (!refused && !parse_json(template_context(chat.conversation), {.depth = 70}).ok()) std::abort();
  CompletionRequest completion;
  check(read_completion_request(*body, &completion));
  if (tokenize(*body, {}).status < 400 || detokenize(*body, {}).status < 400) std::abort();  // no model is served
  return 0;
}
