// config.json and Config::Values, both ways. [any thread]
#pragma once
#include <string>
#include <string_view>

#include "core/api/model.hpp"

namespace tare {

// Dotted keys as Config explains them. Nulls are dropped; every number is the nearest double (NaN and Infinity as
// Python writes them are read); the last of equal keys wins, as in Python. Refused: text that is no JSON object,
// nesting deeper than 32, more than 16 MiB, keys that unfold to more than 64 MiB. `what` names the text in messages.
Result<Config::Values> parse_model_config(std::string_view text, std::string_view what);

// config.json's text for values that have none (a GGUF's): objects by dots, lists where the keys are 0, 1, 2, ...
// parse_model_config reads it back to the same values, except NaN and infinities (written as Python does) and groups
// that are both a value and an object (then only the value is written).
std::string print_model_config(const Config::Values& values);

}  // namespace tare
