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
#include "tests/golden/support/steps.hpp"

namespace tare::gpu_test {

inline const std::filesystem::path kModels = TARE_SOURCE_DIR "/tests/golden/models";

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

// Null, and a printed line, where there is no GPU. TARE_TEST_CUDA_DRIVER names a fake driver's library: with it the
// kernels of a test are compiled, for a machine that has none of the time.
inline std::unique_ptr<Device> open_gpu() {
  const char* driver = std::getenv("TARE_TEST_CUDA_DRIVER");
  const auto provider = cuda::make_provider(driver != nullptr ? driver : "", &host().jit());
  if (provider->found().devices.empty()) {
    std::printf("skipped: no CUDA device\n");
    return nullptr;
  }
  auto device = provider->open("cuda:0", {.threads = 0, .memory_bytes = int64_t{8} << 30});
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  return std::move(*device);
}

struct LoadWish {
  std::optional<DType> dtype = {};
  std::string layout = {};
  int32_t context = 64, max_step_tokens = 64, max_sequences = 64;
  int64_t memory_bytes = int64_t{1} << 30;
  bool record_steps = true;
};
inline Result<LoadedModel> load(Device& device, const std::filesystem::path& path, const LoadWish& wish) {
  TARE_ASSIGN_OR_RETURN(
      auto description,
      describe_model(host(), path.string(), {.weights = true, .dtype = wish.dtype, .context = wish.context}));
  LoadOptions options;
  options.max_step_tokens = wish.max_step_tokens, options.max_sequences = wish.max_sequences;
  options.layout = wish.layout, options.record_steps = wish.record_steps;
  TARE_ASSIGN_OR_RETURN(auto planned,
                        plan_model(host(), std::move(description), device.info(), wish.memory_bytes, options));
  return load_model(host(), std::move(planned), device, options);
}

using golden::logits_of, golden::Rows, golden::step_of;

}  // namespace tare::gpu_test
