#include <vector>

#include "core/program/program_text.hpp"

namespace tare {
namespace {

std::string quoted(const std::string& s) { return to_string(AttributeValue(s)); }
std::string at(const std::string& where) { return where.empty() ? "" : " at " + quoted(where); }
std::string show(const TensorInfo& info) { return text(name(info.dtype), " ", to_string(info.shape)); }

void print_weight(std::string& out, const WeightDecl& w, size_t index) {
  out += text("weight #", index, " ", quoted(w.name), " ", to_string(w.shape));
  if (w.dtype) out += text(" dtype ", name(*w.dtype));
  if (w.part != Part{})
    out += text(" part {inputs_first = ", w.part.inputs_first ? "true" : "false", ", begin = ", w.part.begin,
                ", of = ", w.part.of, ", step = ", w.part.step, "}");
  if (w.layer >= 0) out += text(" layer ", w.layer);
  out += at(w.where) + "\n";
}

void print_node(std::string& out, const Program& program, const Node& node) {
  std::string separator = "  ";
  for (int32_t v : node.results) out += text(separator, "%", v), separator = ", ";
  out += text(" = ", node.op, "(");
  separator.clear();
  for (int32_t v : node.inputs) out += text(separator, "%", v), separator = ", ";
  if (!node.weights.empty() || node.state >= 0) {
    separator = "; ";
    for (int32_t w : node.weights) out += separator + (w < 0 ? "-" : text("#", w)), separator = ", ";
    if (node.weights.empty()) out += "; ";
  }
  if (node.state >= 0) out += text("; $", node.state);
  out += ") " + to_string(node.attributes) + " -> ";
  separator.clear();
  for (int32_t v : node.results) out += separator + show(program.values[static_cast<size_t>(v)].info), separator = ", ";
  out += at(node.where) + "\n";
}

// The `in` line that sets entry, layer and scope of what follows; kept so as not to repeat it.
class Context {
 public:
  void set(std::string& out, const Program& program, int32_t entry, int32_t layer, const std::string& scope) {
    std::string line = text("in ", quoted(program.entries[static_cast<size_t>(entry)]));
    if (layer >= 0) line += text(" layer ", layer);
    if (!scope.empty()) line += " scope " + quoted(scope);
    if (line != last_) out += line + "\n";
    last_ = std::move(line);
  }

 private:
  std::string last_;
};

}  // namespace

std::string print_program(const Program& program) {
  std::string out = text("tare-program 1\ndtype ", name(program.dtype), "\n");
  if (program.ranks != 1) out += text("ranks ", program.ranks, "\n");
  for (const std::string& entry : program.entries) out += "entry " + quoted(entry) + "\n";
  for (size_t i = 0; i < program.constants.size(); ++i) {
    out += text("table @", i, " [");
    for (size_t j = 0; j < program.constants[i].size(); ++j)
      out += (j == 0 ? "" : ", ") + to_string(program.constants[i][j]);
    out += "]\n";
  }
  for (size_t i = 0; i < program.weights.size(); ++i) print_weight(out, program.weights[i], i);
  for (size_t i = 0; i < program.states.size(); ++i) {
    const StateDecl& state = program.states[i];
    out += text("state $", i, " ", quoted(state.scope), " ", to_string(state.kind));
    for (const Shape& part : state.parts) out += (&part == &state.parts[0] ? " keeps " : ", ") + to_string(part);
    out += "\n";
  }
  // Values are numbered in the order in which they appear, so inputs stand where they were declared.
  Context context;
  size_t next_value = 0;
  const auto print_inputs_before = [&](size_t end) {
    for (; next_value < end; ++next_value) {
      const ValueDecl& value = program.values[next_value];
      if (value.node != kAbsent) continue;
      context.set(out, program, value.entry, -1, "");
      out += text("  input %", next_value, " ", quoted(value.name), " ", show(value.info), "\n");
    }
  };
  for (const Node& node : program.nodes) {
    if (!node.results.empty()) print_inputs_before(static_cast<size_t>(node.results[0]));
    context.set(out, program, node.entry, node.layer, node.scope);
    print_node(out, program, node);
  }
  print_inputs_before(program.values.size());
  for (const OutputDecl& output : program.outputs)
    out += text("output ", quoted(program.entries[static_cast<size_t>(output.entry)]), " ", quoted(output.name), " %",
                output.value, "\n");
  return out + "end\n";
}

}  // namespace tare
