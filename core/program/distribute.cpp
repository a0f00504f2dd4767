#include "core/program/distribute.hpp"

#include <algorithm>

#include "core/program/infer.hpp"

namespace tare {
namespace {

class Distributor {
 public:
  Distributor(const Program& whole, const Distribution& d, const OpTable& ops)
      : whole_(whole), d_(d), ops_(ops), now_(whole.values.size(), kPoison), partial_(whole.values.size(), 0) {
    out_.dtype = whole.dtype;
    out_.ranks = d.ranks;
    out_.entries = whole.entries;
    out_.constants = whole.constants;
    out_.weights = whole.weights;
    out_.states = whole.states;
    for (WeightDecl& weight : out_.weights) weight.shape = local(weight.shape, "weight " + weight.name);
    for (StateDecl& state : out_.states) state.parts.clear();  // its attention says them again
  }

  Result<Program> run() {
    size_t next = 0;
    const auto inputs_before = [&](int32_t end) {
      for (; next < static_cast<size_t>(end); ++next)
        if (whole_.values[next].node == kAbsent) input(next);
    };
    for (const Node& node : whole_.nodes) {
      inputs_before(node.results.front());
      if (Status status = place(node); !status.ok()) error(node, status.message());
    }
    inputs_before(static_cast<int32_t>(whole_.values.size()));
    for (const OutputDecl& output : whole_.outputs) leave(output);
    if (errors_.empty()) return std::move(out_);
    std::string all;
    for (const std::string& e : errors_) all += (all.empty() ? "" : "\n") + e;
    return Status(Code::unsupported, std::move(all));
  }

 private:
  void error(const Node& node, const std::string& sentence) {
    errors_.push_back(text(node.where.empty() ? "" : node.where + ": ", node.op,
                           node.scope.empty() ? "" : " in " + node.scope, ": ", sentence));
  }
  bool copies(const Dim& dim) const {
    return dim.axis == Axis::kv_heads && dim.size < d_.ranks && d_.ranks % dim.size == 0;
  }
  // One rank's share; `owner` is named when it does not divide. Empty owner: no complaint (weights have complained).
  Shape local(const Shape& shape, const std::string& owner) {
    Shape out = shape;
    for (Dim& dim : out) {
      if (!d_.cuts(dim.axis)) continue;
      const bool copied = copies(dim);
      if (!copied && dim.size % d_.ranks != 0 && !owner.empty())
        errors_.push_back(
            text(owner, " ", to_string(shape), ": wanted ", to_string(dim), " to divide over ", d_.ranks, " ranks"));
      dim.size = copied ? 1 : std::max<int64_t>(1, dim.size / d_.ranks);
    }
    return out;
  }
  bool cut(std::span<const Dim> dims) const {
    return std::ranges::any_of(dims, [&](const Dim& dim) { return d_.cuts(dim.axis); });
  }
  const Shape& shape(int32_t v) const { return whole_.values[static_cast<size_t>(v)].info.shape; }

  // Does this node sum over a dimension that ranks share out?
  bool sums_over_cut(const Node& node, const OpResults& result) const {
    if (node.op == Embed::kOp)  // a lookup sums over the vocabulary: a rank without the row gives zeros
      return cut(std::span(whole_.weights[static_cast<size_t>(node.weights[0])].whole).first(1));
    for (size_t w = 0; w < result.weight_inputs.size() && w < node.weights.size(); ++w) {
      if (node.weights[w] < 0 || result.weight_inputs[w] == 0) continue;
      const Shape& weight = whole_.weights[static_cast<size_t>(node.weights[w])].shape;
      if (cut(std::span(weight).last(static_cast<size_t>(result.weight_inputs[w])))) return true;
    }
    return false;
  }

  // Ops that treat each element of a cut dimension on its own, or know how to share it. All others get whole values.
  bool takes_shares(const OpDefinition& definition) const {
    return definition.elementwise || definition.partial == PartialRule::makes || definition.op == Rotary::kOp ||
           definition.op == Attention::kOp || definition.op == LogitRows::kOp || definition.op == Norm::kOp;
  }
  Status check_mixing(const Node& node) const {
    if (node.op == Norm::kOp) {
      const Shape& x = shape(node.inputs[0]);
      const size_t width = node.weights[0] < 0 ? 1 : whole_.weights[static_cast<size_t>(node.weights[0])].shape.size();
      if (cut(std::span(x).last(width)))
        return invalid("normalises over ", to_string(x), ": wanted dimensions that every rank holds whole, found ",
                       d_.ranks, " ranks that share them");
    }
    if (node.op == Attention::kOp &&
        cut(std::span(shape(node.inputs[0])).subspan(1, 1)) != cut(std::span(shape(node.inputs[1])).subspan(1, 1)))
      return invalid("reads kv heads by its heads: wanted both roles cut or neither, found ",
                     to_string(shape(node.inputs[0])), " and ", to_string(shape(node.inputs[1])));
    return {};
  }

  Status place(const Node& whole) {
    const OpDefinition* definition = ops_.find(whole.op);
    if (definition == nullptr) return invalid(ops_.unknown(whole.op));
    for (int32_t v : whole.inputs)
      if (now_[static_cast<size_t>(v)] == kPoison) return poison(whole), Status();  // its cause has been told
    Status status = place(whole, *definition);
    if (!status.ok()) poison(whole);
    return status;
  }
  void poison(const Node& whole) {
    for (int32_t v : whole.results) now_[static_cast<size_t>(v)] = kPoison;
  }
  Status place(const Node& whole, const OpDefinition& definition) {
    TARE_RETURN_IF_ERROR(check_mixing(whole));
    Node node = whole;
    TARE_ASSIGN_OR_RETURN(const OpResults undistributed, infer_node(whole_, definition, node, whole.results.size()));
    const bool sums = definition.partial == PartialRule::makes && sums_over_cut(whole, undistributed);
    const bool stays = definition.partial == PartialRule::keeps && !whole.inputs.empty() &&
                       std::ranges::all_of(whole.inputs, [&](int32_t v) { return partial_[static_cast<size_t>(v)]; });
    for (int32_t& v : node.inputs) {
      if (stays) {
        v = now_[static_cast<size_t>(v)];
        continue;
      }
      const int32_t from = v;
      v = reduced(from, whole);
      if (!takes_shares(definition)) TARE_RETURN_IF_ERROR(gather(from, &whole, v));
    }
    TARE_ASSIGN_OR_RETURN(OpResults found, infer_node(out_, definition, node, whole.results.size()));
    TARE_RETURN_IF_ERROR(settle(out_, node, found));
    node.results.clear();
    for (size_t i = 0; i < whole.results.size(); ++i) {
      const Shape wanted = local(shape(whole.results[i]), "");
      if (found.results[i].shape != wanted)
        return {Code::internal,
                text("gives ", to_string(found.results[i].shape), " on one rank, expected ", to_string(wanted))};
      now_[static_cast<size_t>(whole.results[i])] = value(std::move(found.results[i]), whole.entry);
      partial_[static_cast<size_t>(whole.results[i])] = stays || sums;
      node.results.push_back(now_[static_cast<size_t>(whole.results[i])]);
    }
    if (sums && whole.op == Linear::kOp)
      for (size_t w = 1; w < whole.weights.size(); w += 2)
        if (whole.weights[w] >= 0) out_.weights[static_cast<size_t>(whole.weights[w])].first_rank_only = true;
    append(std::move(node));
    return {};
  }

  int32_t value(TensorInfo info, int32_t entry) {
    out_.values.push_back(
        {.info = std::move(info), .node = static_cast<int32_t>(out_.nodes.size()), .entry = entry, .name = {}});
    return static_cast<int32_t>(out_.values.size() - 1);
  }
  void append(Node node) { out_.nodes.push_back(std::move(node)); }
  void input(size_t v) {
    now_[v] = value({.shape = local(whole_.values[v].info.shape, "input " + whole_.values[v].name),
                     .dtype = whole_.values[v].info.dtype},
                    whole_.values[v].entry);
    out_.values.back().node = kAbsent;
    out_.values.back().name = whole_.values[v].name;
  }

  int32_t collective(std::string_view op, int32_t from, Shape shape, int32_t entry, const Node* user) {
    Node node;
    node.op = op;
    node.inputs = {from};
    node.entry = entry;
    node.layer = user != nullptr ? user->layer : -1;
    node.scope = user != nullptr ? user->scope : "";
    node.results = {
        value({.shape = std::move(shape), .dtype = out_.values[static_cast<size_t>(from)].info.dtype}, entry)};
    const int32_t result = node.results[0];
    append(std::move(node));
    return result;
  }
  // The value without parts on other ranks; later users find it so.
  int32_t reduced(int32_t v, const Node& user) {
    const auto at = static_cast<size_t>(v);
    if (partial_[at]) {
      now_[at] = collective(AllReduce::kOp, now_[at], out_.values[static_cast<size_t>(now_[at])].info.shape, user.entry,
                            &user);
      partial_[at] = 0;
    }
    return now_[at];
  }
  // Joins the shares of whole value `v`, where it has any.
  Status gather(int32_t v, const Node* user, int32_t& local_value) {
    const Shape& full = shape(v);
    if (!cut(full)) return {};
    if (cut(std::span(full).first(full.size() - 1)))
      return invalid("wants ", to_string(full), " whole: wanted shares of the last dimension alone, found others over ",
                     d_.ranks, " ranks");
    local_value = collective(AllGather::kOp, local_value, full, whole_.values[static_cast<size_t>(v)].entry, user);
    return {};
  }
  void leave(const OutputDecl& output) {
    if (now_[static_cast<size_t>(output.value)] == kPoison) return;
    Node user;
    user.entry = output.entry;
    int32_t v = reduced(output.value, user);
    if (Status status = gather(output.value, nullptr, v); !status.ok()) {
      errors_.push_back(text("output ", output.name, ": ", status.message()));
      return;
    }
    out_.values[static_cast<size_t>(v)].name = output.name;
    out_.outputs.push_back({output.entry, output.name, v});
  }

  const Program& whole_;
  const Distribution& d_;
  const OpTable& ops_;
  Program out_;
  std::vector<int32_t> now_;   // a value of the whole Program -> the one that stands for it now
  std::vector<char> partial_;  // by value of the whole Program
  std::vector<std::string> errors_;
};

}  // namespace

bool Distribution::cuts(Axis axis) const noexcept {
  return ranks > 1 && axis != Axis::plain && !is_rows(axis) && std::ranges::find(cut, axis) != cut.end();
}

int64_t first_of_rank(Dim whole, const Distribution& d, int64_t rank) noexcept {
  return d.cuts(whole.axis) ? rank * whole.size / d.ranks : 0;  // right for copies of scarce kv heads too
}

Result<Program> distribute(const Program& program, const Distribution& distribution, const OpTable& ops) {
  if (distribution.ranks < 1 || distribution.ranks > 4096)
    return invalid("found ", distribution.ranks, " ranks, expected 1 to 4096");
  if (program.ranks != 1) return invalid("this Program is one of ", program.ranks, " ranks already");
  if (distribution.ranks == 1) return program;
  return Distributor(program, distribution, ops).run();
}

}  // namespace tare
