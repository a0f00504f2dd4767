// The text form of a Program, `tare-program 1` (docs/formats/program.md): what one build prints another parses, and
// what other languages may write. Undistributed and unfused, every attribute and table in full. [any thread]
#pragma once
#include <string>
#include <string_view>

#include "core/program/op_table.hpp"
#include "core/program/program.hpp"

namespace tare {

// A Program of several ranks prints too (with a line `ranks N`), for people to read; that text is not parsed back.
std::string print_program(const Program& program);

// The Program that `text` says. Every index is checked, every shape is inferred again by `ops` and compared with the
// one that is written; attributes that are left out take their defaults. Refused at the first mistake, with its line
// and what was expected there. Text of unknown origin is safe to parse: time and memory are linear in its size.
// print_program(parse_program(t)) == t for every t that print_program wrote.
Result<Program> parse_program(std::string_view text, const OpTable& ops);

}  // namespace tare
