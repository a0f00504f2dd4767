// The operations' sources as a bundle for jit/1. [any thread]
#pragma once
#include "jit/source/bundle.hpp"

namespace tare::jit {
SourceBundle cuda_ops_bundle();
}
