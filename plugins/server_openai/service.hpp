// The front end service "openai": listens, and answers on its own threads. [any thread]
#pragma once
#include <cstdint>
#include <memory>

#include "core/api/front_end.hpp"

namespace tare::server {

// Intervals that nobody has reason to set, but tests.
struct Timing {
  int32_t ping_ms = 15000;         // a stream in which nothing comes says that it lives
  int32_t linger_ms = 2000;        // for what a client still sends after our last word
  int32_t cancel_grace_ms = 2000;  // for cancelled answers to end when shutting down
};
std::unique_ptr<FrontEndService> openai_front_end(const Timing& timing = {});

}  // namespace tare::server
