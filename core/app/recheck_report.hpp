// What measuring tuned choices again found, for people and programs. Pure, [any thread].
#pragma once
#include <iosfwd>
#include <string>

#include "autotune/run/recheck.hpp"

namespace tare {

void print(const CheckedChoices& found, std::ostream& out);
std::string to_json(const CheckedChoices& found);

}  // namespace tare
