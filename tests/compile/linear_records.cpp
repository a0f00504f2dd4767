// linear_records NVRTC_FOLDER FILE.jsonl...: compares the hashes of kernels that records of layers have with those of
// this tree, and writes them where a measurement with another compiler left them out: to be run on the tree that was
// measured, before it changes.
#include <cstdio>

#include "jit/device_bundle.hpp"
#include "plugins/linear/cuda/bundle.hpp"
#include "tests/compile/records.hpp"

int main(int argc, char** argv) {
  using namespace tare;
  if (argc < 3) {
    std::fprintf(stderr, "usage: linear_records NVRTC_FOLDER FILE.jsonl...\n");
    return 2;
  }
  const auto nvrtc = jit::Nvrtc::open({argv[1]});
  if (!nvrtc) {
    std::fprintf(stderr, "%s\n", nvrtc.status().message().c_str());
    return 1;
  }
  records::KernelHashes hashes(**nvrtc, jit::SourceSet({jit::device_bundle(), jit::linear_bundle()}));
  for (int i = 2; i < argc; ++i) {
    const auto others = records::add_hashes(argv[i], hashes);
    if (!others.ok()) {
      std::fprintf(stderr, "%s\n", others.status().message().c_str());
      return 1;
    }
    std::printf("%s: %lld kernels have changed since\n", argv[i], static_cast<long long>(*others));
  }
}
