// linear_records NVRTC_FOLDER FILE.jsonl...: writes into each record of a layer the hash of the PTX that its kernels
// have in this tree. To be run on the tree that was measured, before it changes.
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
    if (const Status s = records::add_hashes(argv[i], hashes); !s.ok()) {
      std::fprintf(stderr, "%s\n", s.message().c_str());
      return 1;
    }
  }
}
