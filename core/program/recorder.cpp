#include "core/program/recorder.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/program/infer.hpp"

namespace tare {
namespace {

// A model that records more is broken (a count of layers out of a bad config): memory stays bounded.
constexpr size_t kMaxNodes = 1 << 20, kMaxDeclared = 1 << 20, kMaxMistakes = 200;

// "model.layers.7.mlp" -> "model.layers.*.mlp": layers repeat each other's mistakes.
std::string without_numbers(std::string_view sentence) {
  std::string out;
  for (size_t i = 0; i < sentence.size(); ++i) {
    out += sentence[i];
    if (sentence[i] != '.') continue;
    size_t end = i + 1;
    while (end < sentence.size() && sentence[end] >= '0' && sentence[end] <= '9') ++end;
    if (end > i + 1 && end < sentence.size() && sentence[end] == '.') {
      out += '*';
      i = end - 1;
    }
  }
  return out;
}

}  // namespace

std::string file_and_line(const Where& where) {
  const std::string_view path = where.file_name();
  return text(path.substr(path.rfind('/') + 1), ":", where.line());
}

int32_t ProgramRecorder::begin_entry(std::string_view name) {
  program_->entries.emplace_back(name);
  has_output_.push_back(0);
  return static_cast<int32_t>(program_->entries.size() - 1);
}
void ProgramRecorder::end_entry(int32_t entry) {
  if (has_output_[static_cast<size_t>(entry)] == 0)
    mistake(text("entry ", program_->entries[static_cast<size_t>(entry)], ": wanted at least one output, found none"));
}

Weight ProgramRecorder::weight(std::string name, Shape shape, Part part, int32_t layer, Where where) {
  const auto refuse = [&](const std::string& sentence) {
    mistake(text(file_and_line(where), ": weight ", name, ": ", sentence));
    return Weight{kPoison};
  };
  if (std::string sentence = weight_mistake(name, shape, part); !sentence.empty()) return refuse(sentence);
  if (program_->weights.size() >= kMaxDeclared) return refuse(text("wanted at most ", kMaxDeclared, " weights"));
  const auto [at, fresh] =
      weights_.try_emplace(text(name, '@', part.begin), static_cast<int32_t>(program_->weights.size()));
  if (!fresh) {
    const WeightDecl& old = program_->weights[static_cast<size_t>(at->second)];
    if (old.shape == shape && old.part == part) return {at->second};
    if (old.shape == shape) return refuse(text("wanted the same part of its tensor as at ", old.where));
    return refuse(text("wanted ", to_string(old.shape), " as at ", old.where, ", found ", to_string(shape)));
  }
  WeightDecl decl;
  decl.name = std::move(name);
  decl.whole = shape;
  decl.shape = std::move(shape);
  decl.part = part;
  decl.layer = layer;
  decl.where = file_and_line(where);
  program_->weights.push_back(std::move(decl));
  return {at->second};
}

Constant ProgramRecorder::constant(std::vector<float> values) {
  if (!std::ranges::all_of(values, [](float f) { return std::isfinite(f); })) {
    mistake(text("a table of ", values.size(), " numbers: wanted finite ones, found infinity or NaN"));
    return {kPoison};
  }
  std::string bytes(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  const auto [at, fresh] = constants_.try_emplace(std::move(bytes), static_cast<int32_t>(program_->constants.size()));
  if (fresh) program_->constants.push_back(std::move(values));
  return {at->second};
}

State ProgramRecorder::state(std::string scope, StateKind kind) {
  if (kind.extent < 0 || (kind.extent == 0) != (kind.kind == StateKind::full_ || kind.kind == StateKind::latent_)) {
    mistake(text("state ", scope, ": wanted a window, chunk or size of 1 or more, found ", to_string(kind)));
    return {kPoison};
  }
  program_->states.push_back({.scope = std::move(scope), .kind = kind, .parts = {}});
  return {static_cast<int32_t>(program_->states.size() - 1)};
}

Tensor ProgramRecorder::input(int32_t entry, std::string_view name, Shape shape) {
  if (shape.empty() || shape.size() > 4 || !is_rows(shape.front().axis) || !checked_elements(shape)) {
    mistake(text("input ", name, ": wanted [rows, ..], found ", to_string(shape)));
    return {kPoison};
  }
  program_->values.push_back({.info = {.shape = std::move(shape), .dtype = program_->dtype},
                              .node = kAbsent,
                              .entry = entry,
                              .name = std::string(name)});
  return {static_cast<int32_t>(program_->values.size() - 1)};
}

void ProgramRecorder::output(int32_t entry, std::string_view name, Tensor value, Where where) {
  has_output_[static_cast<size_t>(entry)] = 1;
  if (value.id == kPoison) return;
  if (value.id < 0 || static_cast<size_t>(value.id) >= program_->values.size())
    return mistake(text(file_and_line(where), ": output ", name, ": wanted a value of this trace, found none"));
  for (const OutputDecl& old : program_->outputs)
    if (old.entry == entry && old.name == name)
      return mistake(text(file_and_line(where), ": output ", name, ": wanted one of that name, found two"));
  ValueDecl& decl = program_->values[static_cast<size_t>(value.id)];
  if (decl.entry != entry)
    return mistake(text(file_and_line(where), ": output ", name, ": wanted a value of its own entry"));
  if (decl.node != kAbsent) decl.name = name;
  program_->outputs.push_back({entry, std::string(name), value.id});
}

bool ProgramRecorder::resolve(const Call& call, Node& node) {
  bool good = true;
  const auto missing = [&](const std::string& what) {
    mistake(
        text(file_and_line(call.where), ": ", call.op, call.scope.empty() ? "" : text(" in ", call.scope), ": ", what));
    good = false;
  };
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const int32_t id = call.inputs[i].id;
    if (id == kPoison)
      good = false;
    else if (id < 0 || static_cast<size_t>(id) >= program_->values.size())
      missing(text("wanted a value of this trace as input ", i, ", found none"));
    else if (program_->values[static_cast<size_t>(id)].entry != call.entry)
      missing(text("wanted a value of its own entry as input ", i, ", found one of another"));
    node.inputs.push_back(id);
  }
  for (size_t w = 0; w < call.weights.size(); ++w) {
    const int32_t id = call.weights[w].id;
    if (id == kPoison)
      good = false;
    else if (id < kAbsent || (id >= 0 && static_cast<size_t>(id) >= program_->weights.size()))
      missing(text("wanted a weight of this trace at place ", w, ", found an unknown one"));
    node.weights.push_back(id);
  }
  node.state = call.state.id;
  if (node.state == kPoison)
    good = false;
  else if (node.state < kAbsent || (node.state >= 0 && static_cast<size_t>(node.state) >= program_->states.size()))
    missing("wanted a state of this trace, found an unknown one");
  return good;
}

void ProgramRecorder::record(const Call& call, std::span<Tensor> results) {
  std::ranges::fill(results, Tensor{kPoison});
  const auto refuse = [&](const std::string& sentence) {
    mistake(text(file_and_line(call.where), ": ", call.op, call.scope.empty() ? "" : text(" in ", call.scope), ": ",
                 sentence));
  };
  Node node;
  if (!resolve(call, node)) return;
  for (const Attribute& a : call.attributes) {
    if (const Constant* table = std::get_if<Constant>(&a.value); table != nullptr && table->id == kPoison) return;
    if (const float* f = std::get_if<float>(&a.value); f != nullptr && !std::isfinite(*f))
      return refuse(text("wanted a finite ", a.name, ", found ", to_string(*f)));
  }
  const OpDefinition* definition = ops_->find(call.op);
  if (definition == nullptr) return refuse(ops_->unknown(call.op));
  if (program_->nodes.size() >= kMaxNodes) return refuse(text("wanted at most ", kMaxNodes, " operations"));
  node.op = call.op;
  node.attributes = call.attributes;
  node.entry = call.entry;
  node.layer = call.layer;
  node.scope = call.scope;
  node.where = file_and_line(call.where);
  Result<OpResults> found = infer_node(*program_, *definition, node, results.size());
  if (!found.ok()) return refuse(found.status().message());
  if (Status settled = settle(*program_, node, *found); !settled.ok()) return refuse(settled.message());
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].id = static_cast<int32_t>(program_->values.size());
    node.results.push_back(results[i].id);
    program_->values.push_back({.info = std::move(found->results[i]),
                                .node = static_cast<int32_t>(program_->nodes.size()),
                                .entry = call.entry,
                                .name = {}});
  }
  program_->nodes.push_back(std::move(node));
}

void ProgramRecorder::error(Where where, std::string sentence) { mistake(text(file_and_line(where), ": ", sentence)); }

void ProgramRecorder::mistake(std::string sentence) {
  const auto [at, fresh] = mistake_at_.try_emplace(without_numbers(sentence), mistakes_.size());
  if (!fresh) {
    ++mistakes_[at->second].count;
  } else if (mistakes_.size() < kMaxMistakes) {
    mistakes_.push_back({std::move(sentence)});
  } else {
    mistake_at_.erase(at);
  }
}

void ProgramRecorder::finish() {
  for (Mistake& m : mistakes_) {
    if (m.count > 1) m.sentence += text(" (", m.count, " times, in this and other layers)");
    program_->errors.push_back(std::move(m.sentence));
  }
  mistakes_.clear();
  mistake_at_.clear();
}

}  // namespace tare
