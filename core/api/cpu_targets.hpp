// Which of the instruction sets that a source was compiled for several times (Google Highway, foreach_target.h) runs on
// a CPU: decided by the device's features, as a Problem carries them, never by cpuid in a kernel. Header-only, [any
// thread].
#pragma once
#include <algorithm>
#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace tare {

// `best` is the widest that the device has.
enum class CpuTarget : uint8_t { best, baseline, sse4, avx2, avx512 };
inline constexpr std::array<std::string_view, 5> kCpuTargetNames{"best", "baseline", "sse4", "avx2", "avx512"};
constexpr std::span<const std::string_view> enumerators(CpuTarget) noexcept { return kCpuTargetNames; }

// Does the target multiply and add with one rounding?
constexpr bool has_fma(CpuTarget target) noexcept {
#if defined(__x86_64__)
  return target == CpuTarget::avx2 || target == CpuTarget::avx512;
#else
  (void)target;
  return true;  // NEON and its like
#endif
}
// Targets that a device with these features runs, widest first; `baseline`, the last, is always there.
inline std::vector<CpuTarget> cpu_targets_for(std::span<const std::string> features) {
  std::vector<CpuTarget> out;
#if defined(__x86_64__)
  const auto all = [&](std::initializer_list<std::string_view> wanted) {
    return std::all_of(wanted.begin(), wanted.end(), [&](std::string_view f) {
      return std::find(features.begin(), features.end(), f) != features.end();
    });
  };
  const bool avx2 = all({"avx2", "fma", "f16c", "bmi2"});
  if (avx2 && all({"avx512f", "avx512bw", "avx512dq", "avx512vl"})) out.push_back(CpuTarget::avx512);
  if (avx2) out.push_back(CpuTarget::avx2);
  if (all({"ssse3", "sse4_1", "sse4_2"})) out.push_back(CpuTarget::sse4);
#else
  (void)features;
#endif
  out.push_back(CpuTarget::baseline);
  return out;
}
// In a source that Highway compiled for several targets, after the last of them: the address of that function (or
// table) of the target, or of the baseline's where it was not compiled. `name` is looked up in every target's
// namespace.
#define TARE_CHOOSE_CPU_TARGET(target, name)                                                              \
  ::tare::choose_cpu_target((target), &HWY_NAMESPACE::name, HWY_CHOOSE_SSE4(name), HWY_CHOOSE_AVX2(name), \
                            HWY_CHOOSE_AVX3(name))
template <class F>
constexpr F* choose_cpu_target(CpuTarget target, F* baseline, std::type_identity_t<F*> sse4,
                               std::type_identity_t<F*> avx2, std::type_identity_t<F*> avx512) noexcept {
  F* const chosen = target == CpuTarget::avx512 ? avx512
                    : target == CpuTarget::avx2 ? avx2
                    : target == CpuTarget::sse4 ? sse4
                                                : nullptr;
  return chosen != nullptr ? chosen : baseline;
}
inline CpuTarget best_cpu_target(std::span<const std::string> features) { return cpu_targets_for(features).front(); }

}  // namespace tare
