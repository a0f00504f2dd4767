// Tracing a family over a config's text.
#pragma once
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/config/model_config.hpp"
#include "core/program/trace.hpp"
#include "models/gemma/gemma.hpp"
#include "models/llama/llama.hpp"
#include "models/qwen/qwen.hpp"

namespace tare {

inline std::vector<ModelFamily> all_families() { return {llama_family(), qwen_family(), gemma_family()}; }

inline Config config_of(std::string_view json) {
  Result<Config::Values> values = parse_model_config(json, "config.json");
  return Config(values.ok() ? std::move(values).value() : Config::Values{});
}

// By the family that knows the config's architecture.
inline Result<Program> trace_text(std::string_view json, DType dtype = DType::bf16) {
  const Config config = config_of(json);
  for (const ModelFamily& family : all_families())
    for (const std::string& known : family.architectures)
      if (known == config.string("architectures.0", "")) return trace(family, config, {.dtype = dtype}, builtin_ops());
  return invalid("no family knows the architecture '", config.string("architectures.0", ""), "'");
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return std::move(out).str();
}

}  // namespace tare
