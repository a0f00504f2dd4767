// compile_kernel NVRTC_FOLDER ARCHITECTURE SOURCE EXPRESSION [CUBIN]: one kernel through NVRTC; prints the assembler's
// figures.
#include <chrono>
#include <cstdio>
#include <fstream>

#include "jit/device_bundle.hpp"
#include "jit/host.hpp"
#include "plugins/device_cuda/codec/tile_decoder.hpp"
#include "plugins/device_cuda/ops/bundle.hpp"
#include "plugins/linear/cuda/bundle.hpp"

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: compile_kernel NVRTC_FOLDER ARCHITECTURE SOURCE EXPRESSION [CUBIN]\n");
    return 2;
  }
  tare::jit::JitOptions options;
  options.source_tree = TARE_SOURCE_DIR;
  options.nvrtc_folders = {argv[1]};
  auto jit = tare::jit::make_jit(std::move(options));
  for (const auto& bundle : {tare::jit::device_bundle(), tare::jit::linear_bundle(), tare::jit::cuda_ops_bundle(),
                             tare::jit::cuda_codec_bundle()}) {
    if (auto s = jit->add_bundle(bundle); !s.ok()) std::fprintf(stderr, "%s\n", s.message().c_str());
  }
  const auto start = std::chrono::steady_clock::now();
  const auto kernel = jit->compile({argv[3], argv[4], argv[2]});
  if (!kernel) {
    std::fprintf(stderr, "%s\n", kernel.status().message().c_str());
    return 1;
  }
  const auto& r = (*kernel)->resources;
  std::printf("%d registers, %d bytes of stack, %d + %d bytes spilled%s, %zu bytes, %.2f s\n", r.registers,
              r.stack_bytes, r.spill_store_bytes, r.spill_load_bytes, r.serialized_wgmma ? ", WGMMA SERIALIZED" : "",
              (*kernel)->cubin.size(), std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  if (argc > 5) {
    std::ofstream(argv[5], std::ios::binary)
        .write(reinterpret_cast<const char*>((*kernel)->cubin.data()),
               static_cast<std::streamsize>((*kernel)->cubin.size()));
  }
}
