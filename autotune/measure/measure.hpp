// How long launches take: cold, interleaved with a baseline, until a rule says that more would tell nothing new. The
// launches and the clock are arguments: tests bring their own. [one thread]
#pragma once
#include <functional>
#include <span>
#include <vector>

#include "core/api/status.hpp"

namespace tare {

using Clock = std::function<double()>;     // seconds
using Launcher = std::function<Status()>;  // one launch on cold weights, returns when it is done

struct StoppingRule {
  int least = 3, most = 30;  // rounds
  double spread = 0.02;      // enough when the median's own uncertainty is below this share of it
  double seconds = 0.25;     // or when one contestant has taken this long
  double hopeless = 1.35;    // a contestant whose best is above this multiple of the leader's median is dropped
};
struct Timing {
  double median = 0, spread = 0, best = 0;  // seconds; spread: median distance from the median
  int rounds = 0;
  bool dropped = false;  // hopeless: measured fewer times than the others
};
double median_of(std::vector<double> values);
// One launch of each in turn, so that a change of the machine's load hits all alike; the order turns round by round.
// A launch that fails ends the measurement.
Result<std::vector<Timing>> measure(std::span<const Launcher> contestants, const Clock& clock,
                                    const StoppingRule& rule = {});

}  // namespace tare
