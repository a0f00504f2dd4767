#include "core/api/plugin.hpp"
#include "models/llama/llama.hpp"

namespace {

tare::Status register_family(tare::Registrar& registrar) noexcept {
  try {
    registrar.add_model(tare::llama_family());
    return {};
  } catch (const std::exception& e) {
    return tare::Status(tare::Code::internal, e.what());
  }
}

}  // namespace

TARE_PLUGIN("tare.models.llama", "1.0.0", register_family)
