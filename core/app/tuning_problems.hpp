// What `tare autotune` tunes: the products of a model, or of the standard shapes. [loader]
#pragma once
#include <memory>

#include "autotune/run/problems.hpp"
#include "core/app/model.hpp"

namespace tare {

struct TuningInput {
  std::vector<std::unique_ptr<const Program>> programs;  // which the problems point into
  std::vector<TuningProblem> problems;
};
// Of one Program at the buckets that the executor's limits give.
Status add_problems(const Host& host, std::unique_ptr<const Program> program, const DeviceInfo& device,
                    const ExecutorOptions& limits, TuningInput& input);
// Of a model of a known shape (core/synth and product_shapes.hpp name them): one layer of it has every problem.
Status add_shape(const Host& host, std::string_view shape, const DeviceInfo& device, const ExecutorOptions& limits,
                 TuningInput& input);
// Those that a qualification takes when none are named, on a CPU and on a GPU.
inline constexpr std::string_view kStandardShapes = "llama-3.2-1b,qwen3-4b,llama-3.1-8b";
inline constexpr std::string_view kStandardGpuShapes =
    "llama-3.1-8b,llama-3.1-70b,qwen3-8b,qwen3-32b,mistral-7b,llama-4-scout,kimi-k2";

// What copies of a CPU's weights, or what is written between two reads, must exceed for no cache to hold it: by the
// size of the machine's last cache.
int64_t cold_cpu_bytes();

}  // namespace tare
