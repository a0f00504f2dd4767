#include "plugins/device_cuda/launch_timer.hpp"

namespace tare::cuda {

Status GraphTimer::run(Stream& stream, const std::function<Status()>& launch) {
  TARE_RETURN_IF_ERROR(launcher_.begin_recording(stream));
  const Status launched = launch();
  auto graph = launcher_.end_recording(stream);  // also after a failure: nothing else works on the stream until then
  TARE_RETURN_IF_ERROR(launched);
  if (!graph.ok()) return std::move(graph).status();
  TARE_RETURN_IF_ERROR((*graph)->launch(stream));
  TARE_ASSIGN_OR_RETURN(const auto first, stream.record());
  TARE_RETURN_IF_ERROR((*graph)->launch(stream));
  TARE_ASSIGN_OR_RETURN(const auto second, stream.record());
  TARE_RETURN_IF_ERROR(second->wait());
  TARE_ASSIGN_OR_RETURN(const float ms, launcher_.elapsed_ms(*first, *second));
  seconds_ += static_cast<double>(ms) * 1e-3;
  return {};
}

}  // namespace tare::cuda
