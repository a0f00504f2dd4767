// Recordings: work of steps that come again and again, recorded by the device (work_recorder/1) and launched as a
// whole. A shape of step is launched plainly the first time, recorded the second time, and played from then on. Those
// longest not used go when there are too many. One engine thread.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "core/api/device.hpp"
#include "core/runtime/step_arrays.hpp"

namespace tare {

class Recordings {
 public:
  static constexpr size_t kMost = 64;
  explicit Recordings(WorkRecorder& recorder, size_t most = kMost) : recorder_(recorder), most_(most) {}
  // `launch` puts the work on `stream`; for equal plan and shape it is always the same work. Work that cannot be
  // recorded is launched plainly every time.
  Status run(size_t plan, const StepShape& shape, Stream& stream, const std::function<Status()>& launch);
  void clear() { entries_.clear(); }
  int64_t recorded() const noexcept { return recorded_; }
  int64_t played() const noexcept { return played_; }

 private:
  struct Entry {
    std::unique_ptr<RecordedWork> work;  // null: not yet, or it cannot be
    bool refused = false;
    int64_t used = 0;
  };
  Status record(Entry& entry, Stream& stream, const std::function<Status()>& launch);
  WorkRecorder& recorder_;
  const size_t most_;
  std::map<std::pair<size_t, StepShape>, Entry> entries_;
  int64_t now_ = 0, recorded_ = 0, played_ = 0;
};

}  // namespace tare
