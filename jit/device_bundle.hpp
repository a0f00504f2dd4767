// The device headers (jit/cuh) as a bundle, beside which kernels bring their own. [any thread]
#pragma once
#include "jit/source/bundle.hpp"

namespace tare::jit {
SourceBundle device_bundle();
}
