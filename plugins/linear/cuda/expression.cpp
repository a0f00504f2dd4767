#include "plugins/linear/cuda/expression.hpp"

#include "core/api/status.hpp"

namespace tare::linear_cuda {
namespace {

constexpr const char* kSpace = "tare::linear_cuda::";

constexpr const char* kCodeNames[] = {"kDense", "kW12", "kW11"};
constexpr const char* kShortNames[] = {"dense", "w12", "w11"};
std::string print(WeightCode code) {
  return std::string(kSpace) + "WeightCode::" + kCodeNames[static_cast<size_t>(code)];
}
const char* print(bool value) { return value ? "true" : "false"; }
const char* short_name(WeightCode code) { return kShortNames[static_cast<size_t>(code)]; }

template <class... Fields>
std::string wrap(const char* kernel, const char* type, const Fields&... fields) {
  return text(kSpace, kernel, "<", kSpace, type, "{", fields..., "}>");
}

}  // namespace

std::string expression(const StripConfig& c) {
  return wrap("strip", "StripConfig", ".code = ", print(c.code), ", .header_blocks = ", c.header_blocks,
              ", .tokens = ", c.tokens, ", .strips = ", c.strips, ", .k_groups = ", c.k_groups,
              ", .stages = ", c.stages, ", .sum_leaves = ", print(c.sum_leaves),
              ", .tensor_copies = ", print(c.tensor_copies), ", .gated = ", print(c.gated));
}
std::string expression(const ClusterConfig& c) {
  return wrap("cluster", "ClusterConfig", ".code = ", print(c.code), ", .header_blocks = ", c.header_blocks,
              ", .tokens = ", c.tokens, ", .row_groups = ", c.row_groups, ", .k_groups = ", c.k_groups,
              ", .cluster = ", c.cluster, ", .stages = ", c.stages, ", .overlap = ", print(c.overlap),
              ", .tensor_copies = ", print(c.tensor_copies));
}
std::string expression(const StreamConfig& c) {
  return wrap("stream", "StreamConfig", ".code = ", print(c.code), ", .header_blocks = ", c.header_blocks,
              ", .tokens = ", c.tokens, ", .row_groups = ", c.row_groups, ", .stages = ", c.stages,
              ", .sum_leaves = ", print(c.sum_leaves), ", .tensor_copies = ", print(c.tensor_copies));
}
std::string expression(const WideConfig& c) {
  return wrap("wide", "WideConfig", ".code = ", print(c.code), ", .header_blocks = ", c.header_blocks,
              ", .tokens = ", c.tokens, ", .row_groups = ", c.row_groups, ", .chunks = ", c.chunks,
              ", .weight_stages = ", c.weight_stages, ", .activation_stages = ", c.activation_stages,
              ", .sum_leaves = ", print(c.sum_leaves), ", .register_groups = ", c.register_groups,
              ", .output_buffers = ", c.output_buffers, ", .band = ", c.band, ", .cut = ", print(c.cut),
              ", .shares = ", c.shares, ", .rest_leaves = ", c.rest_leaves,
              ", .tensor_copies = ", print(c.tensor_copies));
}
std::string expression(const PortableConfig& c) {
  return wrap("portable", "PortableConfig", ".code = ", print(c.code), ", .header_blocks = ", c.header_blocks,
              ", .tokens = ", c.tokens, ", .strips = ", c.strips, ", .k_groups = ", c.k_groups);
}
std::string pack_expression(const PackConfig& c) {
  return wrap("pack", "PackConfig", ".code = ", print(c.code), ", .header_blocks = ", c.header_blocks);
}
std::string unpack_expression(const PackConfig& c) {
  return wrap("unpack", "PackConfig", ".code = ", print(c.code), ", .header_blocks = ", c.header_blocks);
}

std::string label(const StripConfig& c) {
  return text("strip ", short_name(c.code), " h", c.header_blocks, " n", c.tokens, " p", c.strips, " k", c.k_groups,
              " s", c.stages, c.sum_leaves ? " sum" : "", c.tensor_copies ? " tensor" : "", c.gated ? " gated" : "");
}
std::string label(const ClusterConfig& c) {
  return text("cluster ", short_name(c.code), " h", c.header_blocks, " n", c.tokens, " r", c.row_groups, " k",
              c.k_groups, " c", c.cluster, " s", c.stages, c.overlap ? " overlap" : "",
              c.tensor_copies ? " tensor" : "");
}
std::string label(const StreamConfig& c) {
  return text("stream ", short_name(c.code), " h", c.header_blocks, " n", c.tokens, " r", c.row_groups, " s", c.stages,
              c.sum_leaves ? " sum" : "", c.tensor_copies ? " tensor" : "");
}
std::string label(const WideConfig& c) {
  return text("wide ", short_name(c.code), " h", c.header_blocks, " n", c.tokens,
              c.row_groups != 2 ? text(" r", c.row_groups) : std::string(),
              c.chunks != 1 ? text(" c", c.chunks) : std::string(), " w", c.weight_stages, " x", c.activation_stages,
              c.sum_leaves ? text(" sum g", c.register_groups) : std::string(), " o", c.output_buffers, " b", c.band,
              c.cut ? " cut" : "",
              c.shares > 1 ? text(c.rest_leaves > 0 ? " rest" : " shares", c.shares) : std::string(),
              c.rest_leaves == 2 ? " two" : "", c.tensor_copies ? " tensor" : "");
}
std::string label(const PortableConfig& c) {
  return text("portable ", short_name(c.code), " h", c.header_blocks, " n", c.tokens, " p", c.strips, " k", c.k_groups);
}

}  // namespace tare::linear_cuda
