// OpTable: the operations that a Program may use, built-in ones and those of plugins, by "name/revision". Filled at
// start, then const and [any thread].
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/op_definition.hpp"
#include "core/api/status.hpp"

namespace tare {

class OpTable {
 public:
  // Refused when the op is there already (both owners are named) or its name is not of the form "name/revision".
  Status add(OpDefinition definition, std::string owner);
  // Null when there is none; valid as long as the table.
  const OpDefinition* find(std::string_view op) const noexcept;
  // "unknown op 'linaer/1', the nearest known is 'linear/1'".
  std::string unknown(std::string_view op) const;
  std::vector<std::string_view> names() const;
  // Drops what `owner` added, before its library is unloaded.
  void remove_owner(std::string_view owner);

 private:
  struct Row {
    OpDefinition definition;
    std::string owner;
  };
  std::map<std::string, Row, std::less<>> rows_;
};

// The table with every op of core/api/ops.hpp, owned by "core".
OpTable builtin_ops();

}  // namespace tare
