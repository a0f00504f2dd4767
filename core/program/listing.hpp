// A Program for people: each kind of layer once, operations with their weights' names, and parameter counts. Made to be
// read, not parsed (program_text.hpp is for that). [any thread]
#pragma once
#include <string>

#include "core/program/program.hpp"

namespace tare {

// All entries, one after another, or only `entry`.
std::string listing(const Program& program, int32_t entry = -1);

// "%4 = linear/1(%3; q_proj.weight) -> bf16 [tokens, 32 heads, 128]", names without the node's scope.
std::string to_string(const Program& program, const Node& node);

}  // namespace tare
