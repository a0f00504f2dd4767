// Dimensions that a batch or a deployment sizes later, and the handles that a trace passes around. Plain values. [any
// thread]
#pragma once
#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare {

// What a dimension counts. A batch bucket sizes rows; a deployment may cut shares over ranks, by role. A model states
// the role and never the number of ranks: tensor parallel, expert parallel and one device read the same Program.
enum class Axis : uint8_t {
  plain,
  tokens,
  sequences,
  logit_rows,  // rows
  vocab,
  heads,
  kv_heads,
  ffn,
  experts,
  expert_ffn,  // shares
};
constexpr bool is_rows(Axis axis) noexcept { return axis >= Axis::tokens && axis <= Axis::logit_rows; }
constexpr std::string_view name(Axis axis) noexcept {
  constexpr std::string_view names[] = {"plain", "tokens",   "sequences", "logit_rows", "vocab",
                                        "heads", "kv_heads", "ffn",       "experts",    "expert_ffn"};
  return names[static_cast<size_t>(axis)];
}

struct Dim {
  int64_t size = 1;  // of a row axis: rows for each token (sequence, logit row); usually 1
  Axis axis = Axis::plain;
  constexpr Dim(int64_t dim_size, Axis dim_axis = Axis::plain) noexcept : size(dim_size), axis(dim_axis) {}
  bool operator==(const Dim&) const = default;
};
using Shape = std::vector<Dim>;

inline std::string to_string(const Dim& dim) {
  if (dim.axis == Axis::plain) return std::to_string(dim.size);
  if (is_rows(dim.axis) && dim.size == 1) return std::string(name(dim.axis));
  return text(dim.size, " ", name(dim.axis));
}
inline std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (const Dim& dim : shape) out += (out.size() > 1 ? ", " : "") + to_string(dim);
  return out + "]";
}
// Elements of a shape; a row axis counts as its rows for each token.
inline int64_t elements(const Shape& shape) noexcept {
  int64_t count = 1;
  for (const Dim& dim : shape) count *= dim.size;
  return count;
}

// Handles are valid for the Graph family that made them. kPoison comes out of a refused call: whatever takes it is
// skipped in silence, so that one mistake is reported once and the trace runs on to find the next.
constexpr int32_t kAbsent = -1, kPoison = -2;
struct Tensor {
  int32_t id = kAbsent;
};
struct Weight {
  int32_t id = kAbsent;
};
struct State {
  int32_t id = kAbsent;
};
struct Constant {
  int32_t id = kAbsent;
  bool operator==(const Constant&) const = default;
};

// What a layer keeps between steps. Sizes follow from the tensors that are stored in it.
struct StateKind {
  enum Kind : uint8_t { full_, window_, chunk_, latent_, recurrent_ } kind = full_;
  int64_t extent = 0;  // window, chunk: tokens; recurrent: bytes for each sequence
  bool operator==(const StateKind&) const = default;
};
constexpr StateKind full() noexcept { return {StateKind::full_, 0}; }
constexpr StateKind window(int64_t tokens) noexcept { return {StateKind::window_, tokens}; }  // keys p-tokens+1 .. p
constexpr StateKind chunk(int64_t tokens) noexcept {
  return {StateKind::chunk_, tokens};
}  // keys of p's own chunk, causal
constexpr StateKind latent() noexcept { return {StateKind::latent_, 0}; }
constexpr StateKind recurrent(int64_t bytes) noexcept { return {StateKind::recurrent_, bytes}; }
inline std::string to_string(const StateKind& kind) {
  constexpr std::string_view names[] = {"full", "window", "chunk", "latent", "recurrent"};
  return kind.extent != 0 ? text(names[kind.kind], "(", kind.extent, ")") : std::string(names[kind.kind]);
}

using Where = std::source_location;  // the line of the model that asked: it goes into every message

}  // namespace tare
