// probe/1: an interface of the tests, brought by a plugin as a further service.
#pragma once
#include <string_view>

namespace tare::test {
class Probe {
 public:
  static constexpr std::string_view kInterface = "probe/1";
  virtual ~Probe() = default;
  virtual bool host_log_was_there() const = 0;
};
}  // namespace tare::test
