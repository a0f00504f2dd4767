// The first GPU and a compiler for it; or a printed line that says that there is none. One thread.
#pragma once
#include <doctest/doctest.h>

#include <cstdio>
#include <memory>

#include "jit/compile/nvrtc.hpp"
#include "jit/cuda_launch.hpp"
#include "jit/device_bundle.hpp"
#include "jit/host.hpp"
#include "plugins/device_cuda/provider.hpp"

namespace tare::gpu_test {

struct Gpu {
  std::unique_ptr<Device> device;  // null: no GPU here
  jit::CudaLaunch* launcher = nullptr;
  std::unique_ptr<jit::Jit> jit;

  explicit Gpu(std::initializer_list<jit::SourceBundle> bundles) {
    const auto provider = cuda::make_provider();
    if (provider->found().devices.empty()) {
      std::printf("skipped: no CUDA device\n");
      return;
    }
    auto opened = provider->open("cuda:0", {});
    REQUIRE_MESSAGE(opened.ok(), opened.status().message());
    device = std::move(*opened);
    launcher = static_cast<jit::CudaLaunch*>(device->query(jit::CudaLaunch::kInterface));
    jit::JitOptions options;
    options.nvrtc_folders = jit::nvrtc_folders(TARE_NVRTC_FOLDER);
    options.cache_folder = std::string(TARE_BINARY_DIR) + "/kernel-cache";
    jit = jit::make_jit(std::move(options));
    REQUIRE(jit->add_bundle(jit::device_bundle()).ok());
    for (const auto& bundle : bundles) REQUIRE(jit->add_bundle(bundle).ok());
  }
};

}  // namespace tare::gpu_test
