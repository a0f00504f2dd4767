#include "core/program/op_table.hpp"

#include <algorithm>

#include "core/base/nearest.hpp"
#include "core/program/ops_support.hpp"

namespace tare {
namespace {

bool well_formed(std::string_view op) {
  const size_t slash = op.find('/');
  if (slash == 0 || slash == std::string_view::npos || slash + 1 == op.size() || op.size() > 128) return false;
  const auto name_character = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return std::ranges::all_of(op.substr(0, slash), name_character) &&
         std::ranges::all_of(op.substr(slash + 1), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Status OpTable::add(OpDefinition definition, std::string owner) {
  if (!well_formed(definition.op))
    return invalid("op '", definition.op, "' of ", owner, ": expected a name of the form name/revision, like linear/1");
  if (!definition.infer) return invalid("op '", definition.op, "' of ", owner, " has no shape rule");
  const auto at = rows_.find(definition.op);
  if (at != rows_.end())
    return invalid("op '", definition.op, "' of ", owner, " is there already, from ", at->second.owner);
  std::string key = definition.op;
  rows_.emplace(std::move(key), Row{std::move(definition), std::move(owner)});
  return {};
}

const OpDefinition* OpTable::find(std::string_view op) const noexcept {
  const auto at = rows_.find(op);
  return at == rows_.end() ? nullptr : &at->second.definition;
}

std::string OpTable::unknown(std::string_view op) const {
  std::string_view nearest;
  size_t least = std::max<size_t>(3, op.size() / 3) + 1;
  for (const auto& [name, row] : rows_)
    if (const size_t distance = edit_distance(op.substr(0, 128), name); distance < least) {
      least = distance;
      nearest = name;
    }
  std::string out = text("unknown op '", op.substr(0, 128), "'");
  if (!nearest.empty()) out += text(", the nearest known is '", nearest, "'");
  return out;
}

std::vector<std::string_view> OpTable::names() const {
  std::vector<std::string_view> out;
  for (const auto& [name, row] : rows_) out.push_back(name);
  return out;
}

void OpTable::remove_owner(std::string_view owner) {
  std::erase_if(rows_, [&](const auto& entry) { return entry.second.owner == owner; });
}

OpTable builtin_ops() {
  OpTable table;
  const auto add = [&](OpDefinition definition) { (void)table.add(std::move(definition), "core"); };
  add(ops::embed());
  add(ops::linear());
  add(ops::norm());
  add(ops::rotary());
  add(ops::attention());
  add(ops::gated());
  add(ops::activate());
  add(ops::add());
  add(ops::scale());
  add(ops::soft_cap());
  add(ops::concat());
  add(ops::logit_rows());
  add(ops::sample());
  add(ops::all_reduce());
  add(ops::all_gather());
  return table;
}

}  // namespace tare
