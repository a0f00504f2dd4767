// config.json's text as the flat keys of a Config: "rope_scaling.factor", "layer_types.0". [any thread]
#pragma once
#include <string_view>

#include "core/api/model.hpp"

namespace tare {

// Refused with what is wrong and where: no JSON, no object at the top, deeper than 32, more than 1 Mi entries. `null`
// counts as absent. An empty list or object leaves no key.
Result<Config::Values> config_values(std::string_view json);

}  // namespace tare
