// Which of the instruction sets that a source was compiled for several times runs: by the device's features, never by
// cpuid here. The sources are compiled through Google Highway's foreach_target.h; their tables of functions are plain.
// [any thread]
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tare::linear {

// `best` is the widest that the device has.
enum class Target : uint8_t { best, baseline, sse4, avx2, avx512 };
inline constexpr std::array<std::string_view, 5> kTargetNames{"best", "baseline", "sse4", "avx2", "avx512"};
constexpr std::span<const std::string_view> enumerators(Target) noexcept { return kTargetNames; }

// Targets that a device with these features runs and that were compiled, widest first; never empty.
std::vector<Target> targets_for(std::span<const std::string> features);
// Does the target multiply and add with one rounding?
bool has_fma(Target target) noexcept;

}  // namespace tare::linear
