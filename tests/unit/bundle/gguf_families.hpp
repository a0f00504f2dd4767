// The families as the model plugins bring them, for tests that read GGUF files.
#pragma once
#include <span>
#include <vector>

#include "models/gemma/gemma.hpp"
#include "models/llama/llama.hpp"
#include "models/qwen/qwen.hpp"

namespace tare::testing {

// For open_checkpoint: pointers into a list that lives as long as this.
class Families {
 public:
  operator std::span<const ModelFamily* const>() const { return pointers_; }

 private:
  std::vector<ModelFamily> families_ = {llama_family(), qwen_family(), gemma_family()};
  std::vector<const ModelFamily*> pointers_ = {&families_[0], &families_[1], &families_[2]};
};

}  // namespace tare::testing
