#include "core/runtime/recordings.hpp"

#include <algorithm>

namespace tare {

Status Recordings::run(size_t plan, const StepShape& shape, Stream& stream, const std::function<Status()>& launch) {
  const auto key = std::make_pair(plan, shape);
  auto at = entries_.find(key);
  const bool known = at != entries_.end();
  if (!known) {
    if (entries_.size() >= most_)
      entries_.erase(std::ranges::min_element(entries_, {}, [](const auto& e) { return e.second.used; }));
    at = entries_.emplace(key, Entry{}).first;
  }
  Entry& entry = at->second;
  entry.used = ++now_;
  if (!known || entry.refused) return launch();
  if (entry.work == nullptr && !record(entry, stream, launch).ok()) {
    entry.refused = true;
    return launch();
  }
  ++played_;
  return entry.work->launch(stream);
}

Status Recordings::record(Entry& entry, Stream& stream, const std::function<Status()>& launch) {
  TARE_RETURN_IF_ERROR(recorder_.begin_recording(stream));
  const Status launched = launch();
  auto work = recorder_.end_recording(stream);  // in any case: the stream must run again
  TARE_RETURN_IF_ERROR(launched);
  if (!work.ok()) return std::move(work).status();
  entry.work = std::move(*work);
  ++recorded_;
  return {};
}

}  // namespace tare
