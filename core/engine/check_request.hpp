// What a request may ask of a model; refused before it enters the queue. [any thread]
#pragma once
#include "core/api/engine.hpp"

namespace tare {

// Refuses in one sentence what this model cannot do: a prompt that is empty or too long (both numbers), ids outside the
// vocabulary, sampling parameters out of range, stop strings without text. Never changes the request.
Status check_request(const GenerateRequest& request, const ServedModel& model);

}  // namespace tare
