// The gemma family: Gemma 2 and the text side of Gemma 3. [loader]
#pragma once
#include "core/api/model.hpp"

namespace tare {
ModelFamily gemma_family();
}  // namespace tare
