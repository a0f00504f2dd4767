// The llama family: Llama 2 to 3.2, Mistral, SmolLM2 and models of the same shape. [loader]
#pragma once
#include "core/api/model.hpp"

namespace tare {
ModelFamily llama_family();
}  // namespace tare
