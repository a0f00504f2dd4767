// Host code that compiles the shared headers, so that a mistake in them shows without a GPU.
#include "plugins/device_cuda/ops/bundle.hpp"
#include "plugins/device_cuda/ops/expression.hpp"
