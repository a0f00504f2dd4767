// The qwen family: Qwen2, Qwen2.5 and Qwen3, dense. [loader]
#pragma once
#include "core/api/model.hpp"

namespace tare {
ModelFamily qwen_family();
}  // namespace tare
