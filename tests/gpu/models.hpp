// Golden models on a CUDA device, a real one or the fake driver's: loading, steps of one sequence or of many. One
// thread.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/app/model.hpp"
#include "core/base/log.hpp"
#include "plugins/device_cuda/provider.hpp"
#include "tests/golden/support/golden.hpp"

namespace tare::gpu_test {

inline const std::filesystem::path kModels = TARE_SOURCE_DIR "/tests/golden/models";

// Null, and a printed line, where there is no GPU. TARE_TEST_CUDA_DRIVER names a fake driver's library: with it the
// kernels of a test are compiled, for a machine that has none of the time.
inline std::unique_ptr<Device> open_gpu() {
  const char* driver = std::getenv("TARE_TEST_CUDA_DRIVER");
  const auto provider = cuda::make_provider(driver != nullptr ? driver : "");
  if (provider->found().devices.empty()) {
    std::printf("skipped: no CUDA device\n");
    return nullptr;
  }
  auto device = provider->open("cuda:0", {.threads = 0, .memory_bytes = int64_t{8} << 30});
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  return std::move(*device);
}

// All plugins of the build tree, and a kernel compiler.
inline const Host& host() {
  static const std::unique_ptr<Host> instance = [] {
    HostOptions options;
    options.jit.nvrtc_folders = {TARE_NVRTC_FOLDER};
    options.jit.cache_folder = std::string(TARE_BINARY_DIR) + "/kernel-cache";
    return Host::open(options, std::move(*make_log({})));
  }();
  return *instance;
}

struct LoadWish {
  std::optional<DType> dtype = {};
  std::string layout = {};
  int32_t context = 64, max_step_tokens = 64, max_sequences = 64;
  int64_t memory_bytes = int64_t{1} << 30;
};
inline Result<LoadedModel> load(Device& device, const std::filesystem::path& path, const LoadWish& wish) {
  TARE_ASSIGN_OR_RETURN(
      auto description,
      describe_model(host(), path.string(), {.weights = true, .dtype = wish.dtype, .context = wish.context}));
  LoadOptions options;
  options.max_step_tokens = wish.max_step_tokens, options.max_sequences = wish.max_sequences;
  options.layout = wish.layout;
  TARE_ASSIGN_OR_RETURN(auto planned,
                        plan_model(host(), std::move(description), device.info(), wish.memory_bytes, options));
  return load_model(host(), std::move(planned), device, options);
}

// Part of a step: some tokens of one sequence, from `position` on; `slot` says which pages are its own.
struct Rows {
  std::vector<int32_t> tokens;
  int32_t position = 0, slot = 0;
  bool all_logits = true;  // otherwise of the last row alone
};
inline StepInput step_of(const ExecutorLimits& limits, const std::vector<Rows>& sequences) {
  StepInput step;
  for (const Rows& rows : sequences) {
    for (size_t t = 0; t < rows.tokens.size(); ++t) {
      if (rows.all_logits || t + 1 == rows.tokens.size()) {
        step.logit_row_tokens.push_back(static_cast<int32_t>(step.token_ids.size()));
        step.sampling.emplace_back().temperature = 0;
      }
      step.token_ids.push_back(rows.tokens[t]);
      step.positions.push_back(rows.position + static_cast<int32_t>(t));
    }
    step.sequence_begin.push_back(static_cast<int32_t>(step.token_ids.size()));
    step.context_lengths.push_back(rows.position + static_cast<int32_t>(rows.tokens.size()));
  }
  for (const StateGroupLimits& g : limits.groups) {
    PageTableInput table{.stride = (limits.context + g.page_tokens - 1) / g.page_tokens, .pages = {}};
    for (const Rows& rows : sequences) {
      const auto end = static_cast<int32_t>(rows.position + static_cast<int32_t>(rows.tokens.size()));
      for (int32_t p = 0; p < table.stride; ++p)
        table.pages.push_back(p * g.page_tokens < end ? rows.slot * table.stride + p : -1);
    }
    step.page_tables.push_back(std::move(table));
  }
  return step;
}

// Logits of all rows, the prompt in steps of `chunk`, then the decode tokens one by one.
inline std::vector<float> logits_of(PlanExecutor& executor, const golden::GoldenCase& golden, size_t chunk) {
  std::vector<float> all;
  const auto feed = [&](std::span<const int32_t> tokens, size_t position) {
    const auto out = executor.run(
        step_of(executor.limits(), {{{tokens.begin(), tokens.end()}, static_cast<int32_t>(position), 0, true}}));
    REQUIRE_MESSAGE(out.ok(), out.status().message());
    const auto logits = executor.logits();
    REQUIRE_MESSAGE(logits.ok(), logits.status().message());
    all.insert(all.end(), logits->begin(), logits->end());
  };
  const std::span prompt(golden.prompt);
  for (size_t at = 0; at < prompt.size(); at += chunk)
    feed(prompt.subspan(at, std::min(chunk, prompt.size() - at)), at);
  for (size_t i = 0; i < golden.decode.size(); ++i) feed(std::span(golden.decode).subspan(i, 1), prompt.size() + i);
  return all;
}

}  // namespace tare::gpu_test
