#include "core/program/listing.hpp"

#include <map>
#include <set>

#include "core/program/ledger_of.hpp"

namespace tare {
namespace {

// What a layer does, without its names and numbers: layers with one outline are one kind.
std::map<int32_t, std::string> outlines(const Program& program, int32_t entry) {
  std::map<int32_t, std::string> all;
  for (const Node& node : program.nodes) {
    if (node.entry != entry || node.layer < 0) continue;
    std::string& out = all[node.layer];
    out += node.op + to_string(node.attributes);
    for (int32_t w : node.weights) {
      if (w < 0) continue;
      const WeightDecl& weight = program.weights[static_cast<size_t>(w)];
      out += text('#', within(weight.name, node.scope), to_string(weight.shape));
    }
    if (node.state >= 0) out += to_string(program.states[static_cast<size_t>(node.state)].kind);
    for (int32_t v : node.results) out += to_string(program.values[static_cast<size_t>(v)].info.shape);
    out += ';';
  }
  return all;
}

// "1..4, 6, 8..10"
std::string ranges(const std::vector<int32_t>& numbers) {
  std::string out;
  for (size_t i = 0; i < numbers.size();) {
    size_t end = i + 1;
    while (end < numbers.size() && numbers[end] == numbers[end - 1] + 1) ++end;
    out += text(out.empty() ? "" : ", ", numbers[i], end - i > 1 ? text("..", numbers[end - 1]) : "");
    i = end;
  }
  return out;
}

int64_t parameters(const Program& program, int32_t entry, int32_t layer) {
  std::set<int32_t> seen;
  for (const Node& node : program.nodes)
    if (node.entry == entry && node.layer == layer)
      for (int32_t w : node.weights)
        if (w >= 0) seen.insert(w);
  int64_t total = 0;
  for (int32_t w : seen) total += elements(program.weights[static_cast<size_t>(w)].shape);
  return total;
}

std::string list_entry(const Program& program, int32_t entry) {
  std::map<std::string, int32_t> first_of;
  std::map<int32_t, std::vector<int32_t>> same_as;  // the first layer of a kind -> the others
  std::map<int32_t, int32_t> kind_of{{-1, -1}};
  for (const auto& [layer, outline] : outlines(program, entry)) {
    kind_of[layer] = first_of.try_emplace(outline, layer).first->second;
    if (kind_of[layer] != layer) same_as[kind_of[layer]].push_back(layer);
  }
  std::string out =
      text("entry ", program.entries[static_cast<size_t>(entry)], ": ", grouped(ledger_of(program, entry).parameters),
           " parameters", program.ranks > 1 ? text(" on each of ", program.ranks, " ranks") : "", "\n");
  for (const ValueDecl& value : program.values)
    if (value.entry == entry && value.node == kAbsent)
      out += text("  input %", &value - program.values.data(), " ", value.name, " ", to_string(value.info.shape), "\n");
  std::string scope;
  int32_t layer = -1;
  for (const Node& node : program.nodes) {
    if (node.entry != entry || kind_of[node.layer] != node.layer) continue;
    if (node.layer != layer && node.layer >= 0) {
      const auto& others = same_as[node.layer];
      out += text("  == layer ", node.layer, ", ", grouped(parameters(program, entry, node.layer)), " parameters",
                  others.empty() ? "" : text("; layers ", ranges(others), " the same"), "\n");
      scope.clear();
    }
    if (node.layer < 0 && layer >= 0) out += "  == after the layers\n";
    if (node.scope != scope) out += text("  -- ", node.scope.empty() ? "(top)" : node.scope, "\n");
    out += "    " + to_string(program, node) + "\n";
    scope = node.scope;
    layer = node.layer;
  }
  for (const OutputDecl& output : program.outputs)
    if (output.entry == entry) out += text("  output ", output.name, " = %", output.value, "\n");
  return out;
}

}  // namespace

std::string to_string(const Program& program, const Node& node) {
  std::string out;
  for (int32_t v : node.results) out += text(out.empty() ? "%" : ", %", v);
  out += text(" = ", node.op, "(");
  std::string separator;
  for (int32_t v : node.inputs) out += text(separator, "%", v), separator = ", ";
  separator = node.inputs.empty() ? "" : "; ";
  for (int32_t w : node.weights) {
    if (w < 0) continue;
    const WeightDecl& weight = program.weights[static_cast<size_t>(w)];
    out += text(separator, within(weight.name, node.scope), weight.part.of != 0 ? text("@", weight.part.begin) : "",
                weight.first_rank_only ? " (rank 0)" : "");
    separator = ", ";
  }
  out += ")";
  if (!node.attributes.empty()) out += " " + to_string(node.attributes);
  if (node.state >= 0) out += " keeps " + to_string(program.states[static_cast<size_t>(node.state)].kind);
  separator = " -> ";
  for (int32_t v : node.results) {
    const TensorInfo& info = program.values[static_cast<size_t>(v)].info;
    out += text(separator, name(info.dtype), " ", to_string(info.shape)), separator = ", ";
  }
  return out;
}

std::string listing(const Program& program, int32_t entry) {
  if (entry >= 0) return list_entry(program, entry);
  std::string out;
  for (size_t e = 0; e < program.entries.size(); ++e) out += list_entry(program, static_cast<int32_t>(e));
  return out;
}

}  // namespace tare
