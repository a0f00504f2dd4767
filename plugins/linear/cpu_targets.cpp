#include "plugins/linear/cpu_targets.hpp"

#include <algorithm>

namespace tare::linear {

std::vector<Target> targets_for(std::span<const std::string> features) {
  std::vector<Target> out;
#if defined(__x86_64__)
  const auto all = [&](std::initializer_list<std::string_view> wanted) {
    return std::ranges::all_of(wanted,
                               [&](std::string_view f) { return std::ranges::find(features, f) != features.end(); });
  };
  const bool avx2 = all({"avx2", "fma", "f16c", "bmi2"});
  if (avx2 && all({"avx512f", "avx512bw", "avx512dq", "avx512vl"})) out.push_back(Target::avx512);
  if (avx2) out.push_back(Target::avx2);
  if (all({"ssse3", "sse4_1", "sse4_2"})) out.push_back(Target::sse4);
#else
  (void)features;
#endif
  out.push_back(Target::baseline);
  return out;
}

bool has_fma(Target target) noexcept {
#if defined(__x86_64__)
  return target == Target::avx2 || target == Target::avx512;
#else
  (void)target;
  return true;  // NEON and its like
#endif
}

}  // namespace tare::linear
