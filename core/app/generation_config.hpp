// What a checkpoint's generation_config.json says of sampling, as Hugging Face's GenerationConfig means it
// (huggingface.co/docs/transformers, "Generation"): temperature, top_p, top_k, min_p, repetition_penalty, and
// do_sample, whose false is greedy: temperature 0. Pure, [any thread].
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/api/engine.hpp"

namespace tare {

// Empty text: nothing. Never fails: what is no number, or out of the engine's range, is left out and said in `notes`.
SamplingDefaults read_generation_config(std::string_view json, std::vector<std::string>& notes);
// "temperature 0.7, top_p 0.8"; empty where nothing is set.
std::string to_string(const SamplingDefaults& defaults);

}  // namespace tare
