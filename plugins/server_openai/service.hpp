// The front end service "openai": listens, and answers on its own threads. [any thread]
#pragma once
#include <memory>

#include "core/api/front_end.hpp"

namespace tare::server {

std::unique_ptr<FrontEndService> openai_front_end();

}  // namespace tare::server
