#include "autotune/store/problem_text.hpp"

#include <algorithm>
#include <cctype>

namespace tare {
namespace {

// Elements of a row.
int64_t width(const TensorInfo& info) {
  int64_t out = 1;
  for (size_t i = 0; i < info.shape.size(); ++i)
    if (i > 0 || !is_rows(info.shape[i].axis)) out *= info.shape[i].size;
  return out;
}
std::string tensors(const char* what, const std::vector<TensorInfo>& infos, bool widths) {
  std::string out;
  for (const TensorInfo& i : infos)
    out += text(out.empty() ? text(" ", what, "=") : "+", name(i.dtype), widths ? text(":", width(i)) : "");
  return out;
}

}  // namespace

std::string to_string(const Problem& problem) {
  std::string out;
  for (const ProblemOp& op : problem.ops) {
    out += (out.empty() ? "" : "; ") + op.op;
    std::string n, k, dtype;
    int64_t others = 0;  // biases and what else has no inner dimension
    for (size_t i = 0; i < op.weights.size(); ++i) {
      if (!op.weights[i]) continue;
      const WeightInfo& w = *op.weights[i];
      if (i % 2 != 0) {
        ++others;
        continue;
      }
      n += text(n.empty() ? " n=" : "+", w.outputs());
      k = text(" k=", w.inputs()), dtype = text(" ", name(w.dtype));
    }
    out += n + k + dtype;
    if (others > 0) out += text(" biases=", others);
    Attributes attributes = op.attributes;
    std::erase_if(attributes, [](const Attribute& a) { return a.value == AttributeValue(false); });
    if (!attributes.empty()) out += " " + to_string(attributes);
    const bool product = !n.empty();
    out += tensors("x", op.inputs, !product) + tensors("y", op.results, !product);
  }
  return out;
}

std::string op_of(std::string_view printed_problem) {
  std::string out;
  for (const char c : printed_problem.substr(0, printed_problem.find('/')))
    out += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return out.empty() ? "other" : out;
}

}  // namespace tare
