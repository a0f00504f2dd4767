// What is said of an architecture that nobody knows.
#include "core/program/nearest.hpp"

#include <doctest/doctest.h>

#include "tests/unit/models/configs.hpp"
#include "tests/unit/models/support.hpp"

namespace tare {
namespace {

std::string said(std::string_view json) {
  const std::vector<ModelFamily> families = all_families();
  std::vector<const ModelFamily*> pointers;
  for (const ModelFamily& f : families) pointers.push_back(&f);
  return unknown_architecture(config_of(json), pointers).message();
}
void says(const std::string& message, std::string_view part) {
  CHECK_MESSAGE(message.find(part) != std::string::npos, message);
}

}  // namespace

TEST_CASE("the nearest family, the fields it does not know and those it would miss") {
  const std::string message = said(R"({"architectures": ["GraniteForCausalLM"], "model_type": "granite",
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 320,
    "hidden_act": "silu", "rope_theta": 1e4, "mlp_bias": false, "attention_bias": false,
    "embedding_multiplier": 12.0, "logits_scaling": 8.0})");
  says(message, "architecture 'GraniteForCausalLM' is unknown; the nearest known family is llama (LlamaForCausalLM)");
  says(message, "it does not know the config's 'embedding_multiplier', 'logits_scaling'");
  says(message, "it would miss: 'rms_norm_eps' is missing, expected a number");
}
TEST_CASE("a mixture of experts near Qwen 3 is told apart by its fields") {
  const std::string message = said(R"({"architectures": ["Qwen3MoeForCausalLM"], "hidden_size": 64,
    "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 320, "rms_norm_eps": 1e-6,
    "max_window_layers": 2, "use_sliding_window": false, "head_dim": 16, "num_experts": 8, "num_experts_per_tok": 2})");
  says(message, "nearest known family is qwen (Qwen3ForCausalLM); it does not know the config's 'num_experts', ");
}
TEST_CASE("same fields, another name") {
  std::string config(configs::kLlama31_8b);
  config.replace(config.find("LlamaForCausalLM"), 16, "YarnLlamaForCausalLM");
  says(said(config), "(LlamaForCausalLM), whose config has the same fields: the weights may differ");
}
TEST_CASE("configs that say little or nothing") {
  says(said("{}"), "config.json names no architecture; the nearest known family is");
  says(said(R"({"architectures": ["A\u0007\u001b[31m"]})"), "architecture 'A\\u0007\\u001b[31m' is unknown");
  CHECK(unknown_architecture(config_of("{}"), {}).message() ==
        "config.json names no architecture, and no model plugin is loaded");
}

}  // namespace tare
