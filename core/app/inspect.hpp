// What lossless codes find in a checkpoint's numbers: exponents of every tensor, what an entropy code and each layout
// would make of it, which tensors are out of the ordinary. [loader]: a call uses all cores.
#pragma once
#include <functional>
#include <map>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "core/api/kernel.hpp"
#include "core/base/exponents.hpp"
#include "core/bundle/describe.hpp"
#include "core/bundle/weight_source.hpp"
#include "core/report/report.hpp"

namespace tare {

struct InspectOptions {
  int threads = 0;  // 0: all cores
  bool show_progress = false;
  std::function<bool()> stop;  // asked now and then: true ends the work as cancelled
};

struct TensorFindings {
  // As a layout would hold it.
  struct Laid {
    std::string layout;  // "w12/cpu-tiles"
    int64_t bytes = 0;
    bool pays = true;  // false: fell back by itself to plain numbers
    std::string note;  // LayoutPlan::note()
  };
  const StoredTensor* tensor = nullptr;
  bool is_measured = false;  // false: no exponents (integers), not readable, or laid out for a device already
  ExponentCounts counts;
  std::vector<Laid> layouts;  // matrices only, those of the layouts that take it
  std::string codec, note;    // in a bundle: how it lies there; else empty
  bool is_matrix() const noexcept { return tensor->shape.size() == 2; }
  // More than a tenth outside of its best 7 exponents: a denser code with 7 of them would not pay.
  bool is_outlier() const noexcept { return is_measured && is_matrix() && counts.outside(7) > 0.1; }
  // What an ideal code of the exponents would need, the other bits raw; as presented when it was not measured.
  int64_t least_bytes() const noexcept;
};
struct Findings {
  struct Totals {  // of one layout: matrices in it, everything else plain
    int64_t bytes = 0, taken = 0, fell_back = 0;
  };
  std::vector<TensorFindings> tensors;  // in order of name
  int64_t plain_bytes = 0, least_bytes = 0;
  int64_t bundle_bytes = 0;               // of the tensors in a bundle's file; 0 for other checkpoints
  std::map<std::string, int64_t> codecs;  // tensors by codec, of a bundle
  std::map<std::string, Totals> layouts;
  ExponentCounts matrices;  // of all BF16 matrices together
  // Means over BF16 matrices, by their numbers.
  double entropy = 0, outside_7 = 0, outside_15 = 0;
  int64_t num_matrices = 0;
};

// Reads every number once. `layouts`: codes that look at numbers (Layout::survey); those of other devices than the CPU
// are left out. Bounded memory: a band of rows a thread, and what the layouts count.
Result<Findings> inspect_weights(const WeightSource& weights, std::span<const Layout* const> layouts,
                                 const InspectOptions& options);

// What a bundle's file says of how its tensors lie: fills codec, codecs and bundle_bytes.
Status add_codecs(const std::string& bundle_path, Findings& findings);

// For people; `every_tensor`: one line each.
void print_findings(const Findings& findings, bool every_tensor, std::ostream& out);
// The page of `tare inspect --html`.
report::Report inspect_report(const CheckpointDescription& description, const Findings& findings);
// "12.345 %"
std::string percent_text(double share, int digits);

}  // namespace tare
