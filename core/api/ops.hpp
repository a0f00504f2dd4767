// The vocabulary: what a model may say. Each struct holds the fields that the author sets; sizes come from the tensors.
// A definition here is the contract for the reference kernel, every fast kernel and every fusion. Three rules for all:
//   1. arithmetic is f32 inside an operation; `round` is one rounding to the result's dtype, at the operation's end;
//   2. a fused kernel rounds where the separate operations would, so fusing never changes a bit;
//   3. rows meet only in attention's state; facts of the batch (token ids, positions, which rows give logits, page
//      tables) belong to the step: every kernel sees them, no Program carries them.
// Ops travel by `name/revision`; this is no closed list: a plugin registers further ones (plugin.hpp, OpDefinition).
#pragma once
#include <array>
#include <string_view>

#include "core/api/attributes.hpp"

namespace tare {

enum class Activation : uint8_t { none, silu, gelu, gelu_tanh, relu };
inline constexpr std::array<std::string_view, 5> kActivationNames{"none", "silu", "gelu", "gelu_tanh", "relu"};
constexpr std::span<const std::string_view> enumerators(Activation) noexcept { return kActivationNames; }

// weight 0: table [vocab, hidden] -> [tokens, hidden].  out[t] = table[id[t]]
struct Embed {
  static constexpr std::string_view kOp = "embed/1";
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&&) {}
};

// x: [rows, in..]; weights 2i: [out.., in..], 2i+1: bias [out..] or absent -> result i: [rows, out..].
//   out = round(sum over in of x·weight + bias)
// Stacked: several weights over one x are one product with several results. The order of summation is the kernel's own;
// it is the same for every row and, kernel for kernel, for every layout of the weight.
struct Linear {
  static constexpr std::string_view kOp = "linear/1";
  bool f32 = false;  // keep the result in f32 instead of the model's dtype (routers, logits)
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("f32", self.f32);
  }
};

// Over the trailing dimensions that weight 0 has (absent: the last one).
//   rms: out = round(x / sqrt(mean(x²)+eps) · s);  layer: (x-mean)/sqrt(var+eps)·s + bias (weight 1, may be absent);
//   s = weight + offset, or 1 with no weight. `offset` 1 is Gemma's (1+w).
struct Norm {
  static constexpr std::string_view kOp = "norm/1";
  enum class Kind : uint8_t { rms, layer };
  Kind kind = Kind::rms;
  float eps = 1e-6f, offset = 0;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("kind", self.kind), visit("eps", self.eps), visit("offset", self.offset);
  }
};
inline constexpr std::array<std::string_view, 2> kNormKindNames{"rms", "layer"};
constexpr std::span<const std::string_view> enumerators(Norm::Kind) noexcept { return kNormKindNames; }

// Rotates values [first, first+width) of the last dimension of x: [tokens, heads, d]. Pair j turns by
// position·frequencies[j], in f32:  (a, b) -> magnitude·(a cos - b sin, b cos + a sin)
//   halves: a, b = first+j, first+j+width/2 (rotate-half);  neighbours: first+2j, first+2j+1 (complex pairs).
// The table of frequencies is the whole story: linear, llama3, YaRN, NTK and whatever comes next are ways to fill it,
// done by the model at load (models/blocks). The vocabulary has no name of a scaling scheme in it.
struct Rotary {
  static constexpr std::string_view kOp = "rotary/1";
  enum class Pairs : uint8_t { halves, neighbours };
  Pairs pairs = Pairs::halves;
  int64_t first = 0, width = 0;  // width 0: the whole last dimension (recorded as that)
  Constant frequencies;          // [width/2]
  float magnitude = 1;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("pairs", self.pairs), visit("first", self.first), visit("width", self.width);
    visit("frequencies", self.frequencies), visit("magnitude", self.magnitude);
  }
};
inline constexpr std::array<std::string_view, 2> kRotaryPairsNames{"halves", "neighbours"};
constexpr std::span<const std::string_view> enumerators(Rotary::Pairs) noexcept { return kRotaryPairsNames; }

// q: [tokens, heads, d], k: [tokens, kv_heads, d], v: [tokens, kv_heads, dv] -> [tokens, heads, dv].
// Appends k, v to the state at `position`, then for each row p, head h, over the keys j that the state shows to p:
//   s = scale·(q·k_j);  soft_cap > 0: s = soft_cap·tanh(s/soft_cap);  out = round(sum of softmax(s)_j · v_j)
// Head h reads kv head h / (heads / kv_heads). The state keeps k and v rounded to the model's dtype.
struct Attention {
  static constexpr std::string_view kOp = "attention/1";
  float scale = 0, soft_cap = 0;
  bool causal = true;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("scale", self.scale), visit("soft_cap", self.soft_cap), visit("causal", self.causal);
  }
};

// gate, up: one shape.  out = round(round(activation(gate)) · up)
struct Gated {
  static constexpr std::string_view kOp = "gated/1";
  Activation activation = Activation::silu;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("activation", self.activation);
  }
};

// out = round(activation(x))
struct Activate {
  static constexpr std::string_view kOp = "activate/1";
  Activation activation = Activation::gelu;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("activation", self.activation);
  }
};

// out = round(a + b)
struct Add {
  static constexpr std::string_view kOp = "add/1";
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&&) {}
};

// out = round(x · round(factor)), both roundings to the result's dtype
struct Scale {
  static constexpr std::string_view kOp = "scale/1";
  float factor = 1;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("factor", self.factor);
  }
};

// out = round(cap · tanh(x / cap))
struct SoftCap {
  static constexpr std::string_view kOp = "soft_cap/1";
  float cap = 1;
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    visit("cap", self.cap);
  }
};

// a: [rows, n], b: [rows, m] -> [rows, n+m]
struct Concat {
  static constexpr std::string_view kOp = "concat/1";
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&&) {}
};

// x: [tokens, ..] -> [logit_rows, ..].  out[r] = x[token of logit row r]: only those rows go on.
struct LogitRows {
  static constexpr std::string_view kOp = "logit_rows/1";
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&&) {}
};

// logits: [logit_rows, vocab] -> ids: [logit_rows] i32. Put behind a text entry's logits by the planner, never by a
// model; parameters, bias and history of each row come with the step (step.hpp, SamplingRow), log probabilities leave
// through it. Random numbers are a counter-based function of (seed, choice, position).
struct Sample {
  static constexpr std::string_view kOp = "sample/1";
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&&) {}
};

// Never recorded by a model; a deployment puts them in. Sums in rank order, so every rank holds the same bits.
struct AllReduce {
  static constexpr std::string_view kOp = "all_reduce/1";
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&&) {}
};
// Joins the shares of the last dimension, in rank order.
struct AllGather {
  static constexpr std::string_view kOp = "all_gather/1";
  template <class Self, class Visitor>
  static void fields(Self&, Visitor&&) {}
};

}  // namespace tare
