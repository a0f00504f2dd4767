// The operations' expressions for the compiler: every field printed. Pure: [any thread].
#pragma once
#include <string>

#include "core/api/status.hpp"
#include "plugins/device_cuda/ops/arguments.hpp"

namespace tare::cuda_ops {

inline std::string expression(Element e) {
  return text("tare::cuda_ops::Element::", e == Element::kF32 ? "kF32" : "kBf16");
}
inline std::string expression(const NormConfig& c) {
  return text("tare::cuda_ops::norm<tare::cuda_ops::NormConfig{.kind = tare::cuda_ops::NormKind::",
              c.kind == NormKind::kRms ? "kRms" : "kLayer", ", .input = ", expression(c.input),
              ", .output = ", expression(c.output), ", .weight = ", expression(c.weight), "}>");
}
inline std::string expression(const RotaryConfig& c) {
  return text("tare::cuda_ops::rotary<tare::cuda_ops::RotaryConfig{.pairs = tare::cuda_ops::RotaryPairs::",
              c.pairs == RotaryPairs::kHalves ? "kHalves" : "kNeighbours", ", .input = ", expression(c.input),
              ", .output = ", expression(c.output), "}>");
}
// kernel: "append" or "attend"
inline std::string expression(const char* kernel, const AttentionConfig& c) {
  static constexpr const char* kVisible[] = {"kFull", "kWindow", "kChunk"};
  return text("tare::cuda_ops::", kernel, "<tare::cuda_ops::AttentionConfig{.head_size = ", c.head_size,
              ", .value_size = ", c.value_size,
              ", .visible = tare::cuda_ops::Visible::", kVisible[static_cast<int>(c.visible)],
              ", .element = ", expression(c.element), "}>");
}
inline std::string expression(const ElementwiseConfig& c) {
  static constexpr const char* kOperations[] = {"kGated", "kActivate", "kAdd", "kScale", "kSoftCap"};
  static constexpr const char* kActivations[] = {"kNone", "kSilu", "kGelu", "kGeluTanh", "kRelu"};
  return text(
      "tare::cuda_ops::elementwise<tare::cuda_ops::ElementwiseConfig{.operation = tare::cuda_ops::Elementwise::",
      kOperations[static_cast<int>(c.operation)],
      ", .activation = tare::cuda_ops::Activation::", kActivations[static_cast<int>(c.activation)],
      ", .first = ", expression(c.first), ", .second = ", expression(c.second), ", .output = ", expression(c.output),
      "}>");
}

}  // namespace tare::cuda_ops
