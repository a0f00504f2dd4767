// A problem's printed form: what two problems share exactly when they cost the same. Rows are left out (they are the
// key's rows point), and so are names of weights and kinds of rows. Pure, [any thread].
//   linear/1 n=2048+512+512 k=2048 bf16 x=bf16 y=bf16; add/1 x=bf16:2048 y=bf16:2048
#pragma once
#include "core/api/kernel.hpp"

namespace tare {

std::string to_string(const Problem& problem);
// "linear" of a printed form that begins with "linear/1": the name of its file.
std::string op_of(std::string_view printed_problem);

}  // namespace tare
