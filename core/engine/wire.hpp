// Byte forms of the engine's messages and of its steps, for when the other side is another process or rank. Each begins
// with "TARE", a version and the message's kind; numbers are little-endian, lists begin with their count. decode_*
// refuses what is truncated, longer than its content, of another kind or version, or out of an enum's range, and
// allocates no more than the bytes at hand can fill. What the numbers mean is checked elsewhere (check_request,
// check_step). [any thread]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/api/engine.hpp"
#include "core/engine/step_input.hpp"

namespace tare {

inline constexpr uint8_t kWireVersion = 1;

std::string encode(const GenerateRequest& request);
std::string encode(const GenerateEvent& event);
std::string encode(const StepInput& step);
std::string encode(const StepOutput& output);
std::string encode_cancel(uint64_t request);

Result<GenerateRequest> decode_request(std::string_view bytes);
Result<GenerateEvent> decode_event(std::string_view bytes);
Result<StepInput> decode_step(std::string_view bytes);
Result<StepOutput> decode_output(std::string_view bytes);
Result<uint64_t> decode_cancel(std::string_view bytes);

}  // namespace tare
