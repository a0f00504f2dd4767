// Reads the golden cases of tests/golden (its README.md tells what they are) and compares a runtime's logits with them.
// Thread rule: plain functions and values, [any thread].
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare::golden {

struct GoldenCase {
  std::string name;
  std::string weights_dtype;  // "float32", "bfloat16" or "float16"
  std::vector<int32_t> prompt;
  std::vector<int32_t> decode;    // fed one by one after the prompt
  bool decode_is_greedy = false;  // then decode[i] is the first choice of row prompt.size() - 1 + i
  int64_t vocab = 0;
  std::vector<float> logits;       // [prompt + decode, vocab], computed in F32
  std::vector<float> logits_bf16;  // the same in BF16; empty unless the weights are BF16
};

// The names of all cases under `models` (the folder tests/golden/models), sorted.
std::vector<std::string> case_names(const std::filesystem::path& models);

// A case's record and logits; not_found or corrupt with the file's name.
Result<GoldenCase> read_case(const std::filesystem::path& folder);

// One F32 or BF16 tensor of a .safetensors file as F32.
Result<std::vector<float>> read_tensor(const std::filesystem::path& file, std::string_view name);

// Writes into `target` (made if absent) the model of `folder` with its BF16 or F16 weights widened to F32, which is
// exact, so that every case can be run in F32. Other files than config.json and the weights are copied as they are.
Status widen_to_f32(const std::filesystem::path& folder, const std::filesystem::path& target);

struct Comparison {
  double distance = 0;         // largest absolute difference over the golden's largest absolute logit
  int64_t flips = 0;           // rows whose first choice differs
  int64_t unexplained = 0;     // of these, rows whose golden gap is at least twice the row's largest difference
  std::string first_mismatch;  // of the largest difference: row, token, found, wanted
};
// `found` and `golden` are [rows, vocab] of the same size; a NaN anywhere gives an infinite distance.
Comparison compare(std::span<const float> found, std::span<const float> golden, int64_t vocab);

}  // namespace tare::golden
