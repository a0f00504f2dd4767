// Measures again, in a fresh process, what a database chose instead of the default, and changes nothing. [one thread]
#pragma once
#include <algorithm>

#include "autotune/run/tuner.hpp"

namespace tare {

struct CheckedChoice {
  TuningKey key;
  std::string chosen, standard;  // "KERNEL CONFIG"
  double then = 0;               // time beside the default's when it was chosen
  double now = 0, noise = 0;     // beside the default's now; what that is uncertain by
  bool is_slower() const noexcept { return now - 1 > noise; }
};
struct CheckedChoices {
  std::vector<CheckedChoice> choices;
  int64_t defaults = 0;  // choices that are the default
  int64_t missing = 0;   // of the problems: never measured, or by a kernel that is another now
  int64_t slower() const noexcept { return std::ranges::count_if(choices, &CheckedChoice::is_slower); }
};
// Of the options, layouts, cold_bytes, timer, data, progress and stopped count.
Result<CheckedChoices> check_choices(Device& device, const DeviceInfo& info, const Registry& registry,
                                     std::span<const TuningProblem> problems, const TuningDatabase& database,
                                     const TunerOptions& options);

}  // namespace tare
