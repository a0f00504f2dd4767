// libFuzzer: any bytes as a message of the engine. What decodes must encode to the same bytes; a step that decodes must
// be taken or refused by check_step, never read outside of itself.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "core/engine/executor.hpp"
#include "core/engine/wire.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto same = [&](const auto& decoded) {
    if (decoded.ok() && tare::encode(*decoded) != bytes) std::abort();
  };
  same(tare::decode_request(bytes));
  same(tare::decode_event(bytes));
  same(tare::decode_output(bytes));
  const auto step = tare::decode_step(bytes);
  same(step);
  if (const auto cancel = tare::decode_cancel(bytes); cancel.ok() && tare::encode_cancel(*cancel) != bytes)
    std::abort();
  if (!step.ok()) return 0;
  const tare::ExecutorLimits limits{.max_step_tokens = 64,
                                    .max_sequences = 8,
                                    .context = 256,
                                    .vocabulary = 1000,
                                    .groups = {{tare::full(), 4, 64}, {tare::window(7), 4, 24}}};
  if (tare::check_step(*step, limits).ok()) {
    tare::StepOutput output;
    tare::StepViewStorage storage;
    const tare::StepView view = tare::view_step(*step, output, storage);
    if (view.page_tables.size() != limits.groups.size()) std::abort();
  }
  return 0;
}
