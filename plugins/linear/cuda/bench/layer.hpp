// The matrices of a transformer layer under measurement: data, resident copies, candidates, the vendor's baseline. One
// thread.
#pragma once
#include <string>
#include <vector>

#include "autotune/linear_lab.hpp"
#include "autotune/vendor_products.hpp"
#include "plugins/linear/cuda/bench/lab.hpp"
#include "plugins/linear/cuda/catalog.hpp"

namespace tare::linear_cuda::bench {

inline constexpr int32_t kMostTokens = 8192;

struct MatrixSpec {
  std::string name;
  int32_t rows, columns;
  Placement placement;
};

// One matrix of the layer in `copies` different versions, so that replays meet cold caches.
struct Matrix {
  MatrixSpec spec;
  std::vector<std::unique_ptr<Buffer>> plain;
  std::vector<ResidentMatrix> packed,
      dense;  // dense: the same weights as plain records, for the oracle and the honest baseline
  std::unique_ptr<Buffer> activations, output, reference, scratch;
  int32_t reference_tokens = 0;
  double bits_per_weight = 0;
  bool unpacks_exactly = false;
};

struct Timing {
  std::string label;
  double us = 0;
  uint64_t differing = 0;  // bits... of outputs against the dense reference
};

// Thrown: names that are none.
WeightKind kind_of(const std::string& name_of_kind);
WeightCode code_of(const std::string& code);
const char* name(WeightCode code);
// A product of a layer as records lie: refused (thrown) when none take it.
MatrixSpec spec_of(const LayerProduct& product);

class Layer {
 public:
  Layer(Lab& lab, VendorProducts* vendor, int32_t multiprocessors, std::string architecture);

  // Makes data and packs it. max_tokens: rows of activations; reference_tokens: of these, how many the reference
  // covers.
  void add(const MatrixSpec& spec, WeightKind kind, int copies, int32_t max_tokens, int32_t reference_tokens,
           bool dense_copies, WeightCode code = WeightCode::kW12);
  std::vector<Matrix>& matrices() { return matrices_; }

  // Work that runs product `config` on copy i % copies.
  Lab::Work product(Matrix& matrix, const AnyConfig& config, int32_t tokens, bool dependent, bool dense = false);
  // The same weights under another order of the K sum: records lie alike, whatever the leaves.
  void set_leaves(Matrix& matrix, int32_t leaves);
  Lab::Work baseline(Matrix& matrix, int32_t tokens, int which);
  // Outputs of `config` that differ from the reference's first rows, after poisoning; w12 or, when `dense`, the dense
  // variant.
  uint64_t differing(Matrix& matrix, const AnyConfig& config, int32_t tokens, bool dense);

  // The fastest of the vendor's ways: its number and time.
  std::pair<int, double> best_baseline(Matrix& matrix, int32_t tokens, int calls);

  Lab& lab() { return lab_; }
  int32_t multiprocessors() const { return multiprocessors_; }
  const std::string& architecture() const { return architecture_; }

 private:
  Lab& lab_;
  VendorProducts* vendor_;
  const int32_t multiprocessors_;
  const std::string architecture_;
  std::vector<Matrix> matrices_;
};

}  // namespace tare::linear_cuda::bench
