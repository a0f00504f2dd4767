// The text service itself. Thread rule: constant, [any thread].
#pragma once
#include <memory>

#include "core/api/text.hpp"

namespace tare::text_plugin {

std::unique_ptr<TextService> make_text_service();

}  // namespace tare::text_plugin
