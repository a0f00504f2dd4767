// Graph records what a model computes: shapes and names only, no device, no weights, once at load. A mistake never
// throws; it lands in the Program's errors with the model's line, and the trace goes on. One thread [loader].
//
// Header-only: the Graph writes through a Recorder that the host hands over (core/program implements it), so a model
// plugin links nothing of ours.
#pragma once
#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "core/api/dtype.hpp"
#include "core/api/ops.hpp"

namespace tare {

// Where in its checkpoint tensor a weight lies, when it is not simply all of it.
struct Part {
  bool inputs_first = false;  // the last two dimensions are stored the other way round ([.., in, out])
  int64_t begin = 0, of = 0;  // outputs [begin, begin + ours) of `of`; of = 0: the whole tensor
  int64_t step = 1;           // 2: interleaved with another part
  bool operator==(const Part&) const = default;
};

struct Product {  // a weight with an optional bias
  Weight weight, bias;
  Product(Weight w, Weight b = {}) : weight(w), bias(b) {}
};

// One operation to record. `weights` has fixed positions by the op's definition; an absent one is Weight{}.
struct Call {
  std::string_view op;  // "name/revision"
  Attributes attributes;
  std::span<const Tensor> inputs;
  std::span<const Weight> weights;
  State state;
  int32_t entry = 0, layer = -1;
  std::string_view scope;
  Where where;
};

// What a Graph writes to. Implemented by core/program. [loader]
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual Weight weight(std::string name, Shape shape, Part part, int32_t layer, Where where) = 0;
  virtual Constant constant(std::vector<float> values) = 0;
  virtual State state(std::string scope, StateKind kind) = 0;
  virtual Tensor input(int32_t entry, std::string_view name, Shape shape) = 0;
  virtual void output(int32_t entry, std::string_view name, Tensor value, Where where) = 0;
  // Checks the call by the op's definition and fills `results`, with kPoison when it is refused.
  virtual void record(const Call& call, std::span<Tensor> results) = 0;
  virtual void error(Where where, std::string sentence) = 0;
};

class Graph {
 public:
  Graph(Recorder& recorder, int32_t entry) : recorder_(&recorder), entry_(entry) {}

  // Scopes add to the names of weights. A layer is also a place where a pipeline may be cut.
  Graph scope(std::string_view name) const {
    Graph inner = *this;
    inner.prefix_ += std::string(name) + ".";
    return inner;
  }
  Graph layer(int64_t index, std::string_view list) const {
    Graph inner = scope(text(list, ".", index));
    inner.layer_ = static_cast<int32_t>(index);
    return inner;
  }

  // Declarations. Asking twice for a name gives the same weight (that is how weights are tied, also between entries);
  // with another shape it is an error that shows both lines.
  Weight weight(std::string_view name, Shape shape, Part part = {}, Where where = Where::current()) const {
    return recorder_->weight(prefix_ + std::string(name), std::move(shape), part, layer_, where);
  }
  Constant constant(std::vector<float> values) const { return recorder_->constant(std::move(values)); }
  State state(StateKind kind) const { return recorder_->state(prefix_, kind); }
  Tensor input(std::string_view name, Shape shape) const { return recorder_->input(entry_, name, std::move(shape)); }
  void output(std::string_view name, Tensor value, Where where = Where::current()) const {
    recorder_->output(entry_, name, value, where);
  }
  // A mistake that the model itself found: "wanted .., found ..".
  void error(std::string sentence, Where where = Where::current()) const {
    recorder_->error(where, std::move(sentence));
  }

  // Operations: ops.hpp has the definitions.
  Tensor embed(Weight table, Where where = Where::current()) const { return one(Embed{}, {}, {table}, where); }
  Tensor linear(Tensor x, Product p, Where where = Where::current()) const {
    return one(Linear{}, {x}, {p.weight, p.bias}, where);
  }
  Tensor linear_f32(Tensor x, Product p, Where where = Where::current()) const {
    return one(Linear{.f32 = true}, {x}, {p.weight, p.bias}, where);
  }
  template <size_t N>  // auto [q, k, v] = l.stacked(h, {wq, wk, wv});
  std::array<Tensor, N> stacked(Tensor x, const Product (&products)[N], Where where = Where::current()) const {
    std::array<Tensor, N> results;
    std::array<Weight, 2 * N> weights;
    for (size_t i = 0; i < N; ++i) weights[2 * i] = products[i].weight, weights[2 * i + 1] = products[i].bias;
    record(Linear{}, std::span(&x, 1), weights, {}, results, where);
    return results;
  }
  Tensor rms_norm(Tensor x, Weight weight, float eps, float offset = 0, Where where = Where::current()) const {
    return one(Norm{Norm::Kind::rms, eps, offset}, {x}, {weight, Weight{}}, where);
  }
  Tensor layer_norm(Tensor x, Product weight_and_bias, float eps, Where where = Where::current()) const {
    return one(Norm{Norm::Kind::layer, eps, 0}, {x}, {weight_and_bias.weight, weight_and_bias.bias}, where);
  }
  Tensor rotary(Tensor x, const Rotary& rotary, Where where = Where::current()) const {
    return one(rotary, {x}, {}, where);
  }
  Tensor attention(Tensor q, Tensor k, Tensor v, State state, const Attention& attention,
                   Where where = Where::current()) const {
    return one(attention, {q, k, v}, {}, where, state);
  }
  Tensor gated(Tensor gate, Tensor up, Activation activation, Where where = Where::current()) const {
    return one(Gated{activation}, {gate, up}, {}, where);
  }
  Tensor activate(Tensor x, Activation activation, Where where = Where::current()) const {
    return one(Activate{activation}, {x}, {}, where);
  }
  Tensor add(Tensor a, Tensor b, Where where = Where::current()) const { return one(Add{}, {a, b}, {}, where); }
  Tensor scale(Tensor x, float factor, Where where = Where::current()) const {
    return one(Scale{factor}, {x}, {}, where);
  }
  Tensor soft_cap(Tensor x, float cap, Where where = Where::current()) const {
    return one(SoftCap{cap}, {x}, {}, where);
  }
  Tensor concat(Tensor a, Tensor b, Where where = Where::current()) const { return one(Concat{}, {a, b}, {}, where); }
  Tensor logit_rows(Tensor x, Where where = Where::current()) const { return one(LogitRows{}, {x}, {}, where); }

  // Any op of the registry, also one that a plugin brought. `results.size()` must be what the definition gives.
  template <class Op>
  void record(const Op& op, std::span<const Tensor> inputs, std::span<const Weight> weights, State state,
              std::span<Tensor> results, Where where = Where::current()) const {
    recorder_->record({.op = Op::kOp,
                       .attributes = to_attributes(op),
                       .inputs = inputs,
                       .weights = weights,
                       .state = state,
                       .entry = entry_,
                       .layer = layer_,
                       .scope = prefix_,
                       .where = where},
                      results);
  }

 private:
  template <class Op>
  Tensor one(const Op& op, std::initializer_list<Tensor> inputs, std::initializer_list<Weight> weights, Where where,
             State state = {}) const {
    Tensor result;
    record(op, std::span(inputs.begin(), inputs.size()), std::span(weights.begin(), weights.size()), state,
           std::span(&result, 1), where);
    return result;
  }

  Recorder* recorder_;
  int32_t entry_, layer_ = -1;
  std::string prefix_;
};

}  // namespace tare
