// Backends that multiply by coded matrices: each is the dense backend of its instruction set with a decoder in front,
// so numerics, packing of x and plain (fallen back) matrices are the dense one's. [any thread]
#pragma once
#include <memory>
#include <string>

#include "plugins/linear/coded.hpp"
#include "plugins/linear/cpu_candidate.hpp"

namespace tare::linear {

// Null where the build has no such instruction set.
std::shared_ptr<const CpuBackend> make_coded_amx_backend(std::string_view layout);
std::shared_ptr<const CpuBackend> make_coded_avx512_bf16_backend(std::string_view layout);
std::shared_ptr<const CpuBackend> make_coded_highway_backend(std::string_view layout);

// Inputs of a panel that is decoded for many rows; a config's k_block within what a stack holds.
constexpr int64_t kMostPanelChunks = 32;
constexpr int64_t panel_chunks(int64_t k_block, int64_t otherwise) noexcept {
  const int64_t chunks = k_block == 0 ? otherwise : k_block / kChunkInputs;
  return chunks < kMostPanelChunks ? chunks : kMostPanelChunks;
}

class CodedMultiplier : public Multiplier {
 public:
  CodedMultiplier(std::string_view layout, std::unique_ptr<Multiplier> dense)
      : layout_(layout), dense_(std::move(dense)) {}
  std::string_view layout() const noexcept override { return layout_; }
  int64_t packed_bytes(int64_t rows, int64_t inputs) const noexcept override {
    return dense_->packed_bytes(rows, inputs);
  }
  int64_t row_granule() const noexcept override { return dense_->row_granule(); }
  bool reads_in_place(const TensorView& x, int64_t inputs) const noexcept override {
    return dense_->reads_in_place(x, inputs);
  }
  void pack(const TensorView& x, int64_t inputs, int64_t row_begin, int64_t row_end,
            std::byte* packed) const noexcept override {
    dense_->pack(x, inputs, row_begin, row_end, packed);
  }
  int64_t packed_stride(int64_t rows, int64_t inputs) const noexcept override {
    return dense_->packed_stride(rows, inputs);
  }
  void multiply(const MultiplyBlock& block) const noexcept override {
    const CodedMatrix matrix(block.matrix);
    if (matrix.code() != Coding::plain) return multiply_coded(matrix, block);
    MultiplyBlock plain = block;
    plain.weights = matrix.strip(block.first_strip);
    dense_->multiply(plain);
  }

 protected:
  virtual void multiply_coded(const CodedMatrix& matrix, const MultiplyBlock& block) const noexcept = 0;

 private:
  const std::string_view layout_;
  const std::unique_ptr<Multiplier> dense_;
};

// "linear.cpu_w12_amx_bf16" from "linear.cpu_amx_bf16".
inline std::string coded_id(std::string_view dense, std::string_view layout) {
  constexpr std::string_view kPrefix = "linear.cpu_";
  return std::string(kPrefix) + std::string(layout.substr(0, layout.find('/'))) + "_" +
         std::string(dense.substr(kPrefix.size()));
}

class CodedBackend : public CpuBackend {
 public:
  CodedBackend(std::string_view layout, std::shared_ptr<const CpuBackend> dense)
      : layout_(layout), dense_(std::move(dense)), id_(coded_id(dense_->id(), layout)) {}
  std::string_view id() const noexcept override { return id_; }
  std::string_view layout() const noexcept override { return layout_; }
  std::string numerics(const Problem& problem) const override { return dense_->numerics(problem); }
  bool chooses_target() const noexcept override { return dense_->chooses_target(); }
  Verdict supports(const Problem& problem, const LinearShape& shape) const noexcept override {
    if (shape.weight != DType::bf16) return Verdict::no("weights are ", name(shape.weight), ", expected bf16");
    return dense_->supports(problem, shape);
  }

 protected:
  const CpuBackend& dense() const noexcept { return *dense_; }

 private:
  const std::string_view layout_;
  const std::shared_ptr<const CpuBackend> dense_;
  const std::string id_;
};

}  // namespace tare::linear
