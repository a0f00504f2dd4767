// The linear kernels' sources as a bundle for jit/1. [any thread]
#pragma once
#include "jit/source/bundle.hpp"

namespace tare::jit {
SourceBundle linear_bundle();
SourceBundle linear_bench_bundle();  // what measures them
}  // namespace tare::jit
