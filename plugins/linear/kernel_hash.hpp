// What a CPU kernel's code is: a hash of the sources that it is made of and of the compiler. [any thread]
#pragma once
#include <string_view>

namespace tare::linear {

// "linear.cpu_amx_bf16", whatever is fused behind it; empty: unknown. Computed by the build.
std::string_view kernel_hash(std::string_view kernel) noexcept;

}  // namespace tare::linear
