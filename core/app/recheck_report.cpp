#include "core/app/recheck_report.hpp"

#include <boost/json.hpp>
#include <cmath>
#include <iomanip>
#include <ostream>
#include <sstream>

namespace tare {

void print(const CheckedChoices& found, std::ostream& out) {
  const auto percent = [](double share) {
    std::ostringstream text;
    text << std::fixed << std::setprecision(1) << 100 * share << " %";
    return text.str();
  };
  out << found.choices.size() << " choices that are not the default were measured again, " << found.defaults
      << " are the default";
  if (found.missing > 0) out << ", " << found.missing << " have no measurement of this build";
  out << '\n';
  double logs = 0;
  for (const CheckedChoice& c : found.choices) {
    logs += std::log(c.now);
    out << (c.is_slower() ? "  SLOWER " : "         ") << std::setw(8) << percent(c.now) << " of the default's time ("
        << percent(c.then) << " when it was chosen; noise " << percent(c.noise) << "), " << c.key.rows << " rows, "
        << c.key.layout << ", " << c.key.problem << "\n                  " << c.chosen << '\n';
  }
  if (!found.choices.empty())
    out << "geometric mean " << percent(std::exp(logs / static_cast<double>(found.choices.size()))) << "; "
        << found.slower() << " slower than the default beyond the noise\n";
}

std::string to_json(const CheckedChoices& found) {
  namespace json = boost::json;
  json::array choices;
  for (const CheckedChoice& c : found.choices)
    choices.push_back({{"problem", c.key.problem},
                       {"layout", c.key.layout},
                       {"numerics", c.key.numerics},
                       {"rows", c.key.rows},
                       {"chosen", c.chosen},
                       {"baseline", c.standard},
                       {"then", c.then},
                       {"now", c.now},
                       {"noise", c.noise},
                       {"slower", c.is_slower()}});
  return json::serialize(json::object{
      {"choices", choices}, {"defaults", found.defaults}, {"missing", found.missing}, {"slower", found.slower()}});
}

}  // namespace tare
