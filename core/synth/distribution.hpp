// How the weights of one matrix are spread, as trained ones are, and BF16 numbers drawn from that at memory speed.
// A Sampler is const after it was made, [any thread].
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/synth/shape.hpp"

namespace tare::synth {

// A weight is scale(row) * scale(column) * z, where z is normal with a deviation drawn from `parts`: a plain one,
// weights that training left small, and a few large ones. Rows and columns differ by lognormal factors. All of it
// together lifts the exponents' entropy from a Gaussian's 2.54 bits to the 2.6 to 2.7 of trained models.
struct Spread {
  struct Part {
    double share = 1, deviation = 1;  // shares add up to one
  };
  std::vector<Part> parts;
  double row_octaves = 0, column_octaves = 0;  // deviations of log2 of the factors
};
// Of a matrix by name: each a little different, drawn from (seed, name). Outliers: wide and flat.
Spread spread_of(const Tensor& tensor, uint64_t seed, bool outlier);
// The root mean square that keeps a model sane when it runs: products of normalised rows have variance one, what is
// added to the residual is small in all layers together.
double rms_of(const Tensor& tensor, const Shape& shape);

class Sampler {
 public:
  // Precondition: a matrix.
  Sampler(const Tensor& tensor, const Spread& spread, double rms, uint64_t seed);
  // Row `row` as BF16. `out` has the tensor's columns.
  void row(int64_t row, std::span<uint16_t> out) const noexcept;

 private:
  // Alias tables (Walker 1977, Vose 1991) over 32 exponents times 128 mantissas, one for each product of row and column
  // factor, in steps of a quarter octave: threshold below, alias above.
  static constexpr int kSlots = 4096, kMostRow = 4, kMostColumn = 3, kTables = 2 * (kMostRow + kMostColumn) + 1;
  uint64_t key_;
  uint16_t lowest_ = 0;  // the code of slot 0
  double row_octaves_;
  std::vector<uint32_t> tables_;   // [kTables][kSlots]
  std::vector<uint32_t> columns_;  // where a column's table begins for the smallest row factor
  int row_class(int64_t row) const noexcept;
};

// Norm weights: near one. BF16.
void norm_weights(const Tensor& tensor, uint64_t seed, std::span<uint16_t> out);

}  // namespace tare::synth
