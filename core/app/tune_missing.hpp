// What [tuning] on_miss asks for: which products of planned models were never measured, and measuring them. [loader]
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/app/pipelines.hpp"

namespace tare {

struct MissingProblem {
  std::string matrices, problem, layout;  // problem: printed
  int64_t rows = 0;                       // the bucket ends there
};
// Products of the model's Plans that the built-in rule decided, since nobody measured them.
std::vector<MissingProblem> missing_of(const PlannedModel& model);
// "12 of 30 problems of 'x' were never measured on SKU: 'linear/1 ...' at 8 rows (mlp.down_proj), ...": the first
// three, and the command that measures them.
std::string missing_sentence(std::span<const MissingProblem> missing, const std::string& name, const std::string& path,
                             const DeviceInfo& device);

// Measures them for at most `seconds` and writes the user's database: every layout, or those with the code `layout`.
// Refused: no database that can be written, another autotuner at work, a failure of the device. What time did not
// suffice for stays missing.
Status tune_missing(const Host& host, Device& device, const PlannedModel& model, const std::string& layout,
                    double seconds);

}  // namespace tare
