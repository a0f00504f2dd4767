// What the CPU's linear kernels read out of a Problem, checked once: sizes, element types, the chain behind the
// product.
#pragma once
#include <vector>

#include "core/api/kernel.hpp"
#include "core/api/ops.hpp"

namespace tare::linear {

// What follows the product in the chain.
enum class Tail : uint8_t { none, add, gated };
constexpr std::string_view name(Tail tail) noexcept {
  constexpr std::string_view names[] = {"", "+add", "+gated"};
  return names[static_cast<size_t>(tail)];
}
std::vector<std::string> chain_of(Tail tail);

struct Product {
  int64_t outputs = 0;
  bool bias = false;
  DType result = DType::bf16;  // what the product is rounded to
};
struct LinearShape {
  int64_t inputs = 0;  // K
  DType x = DType::bf16, weight = DType::bf16;
  std::vector<Product> products;  // stacked over one x
  Tail tail = Tail::none;
  DType out = DType::bf16;  // of the chain's last op
  Activation activation = Activation::none;
  bool swapped = false;  // gated: the gate is result 1
};

// Fills `shape`, or says what does not fit.
Verdict read_shape(const Problem& problem, Tail tail, LinearShape& shape) noexcept;

bool has_feature(const Problem& problem, std::string_view feature) noexcept;

}  // namespace tare::linear
