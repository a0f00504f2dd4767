// When a step's work is launched plainly, recorded, played; and where a step's arrays lie.
#include "core/runtime/recordings.hpp"

#include <doctest/doctest.h>

#include "core/device/null_device.hpp"
#include "core/runtime/step_arrays.hpp"

namespace tare {
namespace {

// Keeps how often the work was played, and by what was refused.
struct FakeRecorder final : WorkRecorder {
  struct Work final : RecordedWork {
    FakeRecorder& owner;
    explicit Work(FakeRecorder& o) : owner(o) {}
    Status launch(Stream&) override { return ++owner.played, Status(); }
  };
  int begun = 0, ended = 0, played = 0;
  bool recording = false, fails = false;
  Status begin_recording(Stream&) override {
    ++begun, recording = true;
    return {};
  }
  Result<std::unique_ptr<RecordedWork>> end_recording(Stream&) override {
    ++ended, recording = false;
    if (fails) return Status(Code::unsupported, "this work cannot be recorded");
    return std::unique_ptr<RecordedWork>(std::make_unique<Work>(*this));
  }
};

struct Bench {
  NullDevice device{1 << 20};
  std::unique_ptr<Stream> stream = std::move(*device.create_stream());
  FakeRecorder recorder;
  int plain = 0, recorded = 0;
  Status launch_result;
  Status run(Recordings& recordings, size_t plan, const StepShape& shape) {
    return recordings.run(plan, shape, *stream, [&] {
      ++(recorder.recording ? recorded : plain);
      return launch_result;
    });
  }
};

TEST_CASE("a shape of step is launched, then recorded, then played; another shape or plan begins anew") {
  Bench b;
  Recordings recordings(b.recorder);
  const StepShape one{1, 1, 1, {16}};
  for (int i = 0; i < 5; ++i) CHECK(b.run(recordings, 0, one).ok());
  CHECK(b.plain == 1);
  CHECK(b.recorded == 1);
  CHECK(b.recorder.played == 4);
  CHECK(recordings.recorded() == 1);
  CHECK(recordings.played() == 4);
  for (const StepShape& other : {StepShape{2, 2, 2, {16}}, StepShape{1, 1, 1, {32}}, StepShape{1, 1, 0, {16}}})
    CHECK(b.run(recordings, 0, other).ok());
  CHECK(b.run(recordings, 1, one).ok());
  CHECK(b.plain == 5);
  CHECK(b.recorder.played == 4);
  recordings.clear();
  CHECK(b.run(recordings, 0, one).ok());
  CHECK(b.plain == 6);
}

TEST_CASE("work that cannot be recorded is launched plainly from then on, and the stream is given back") {
  Bench b;
  b.recorder.fails = true;
  Recordings recordings(b.recorder);
  for (int i = 0; i < 4; ++i) CHECK(b.run(recordings, 0, {1, 1, 1, {}}).ok());
  CHECK(b.recorder.begun == 1);
  CHECK(b.recorder.ended == 1);
  CHECK(b.plain == 4);
  CHECK(recordings.recorded() == 0);

  Bench failing;
  Recordings others(failing.recorder);
  CHECK(failing.run(others, 0, {1, 1, 1, {}}).ok());
  failing.launch_result = Status(Code::internal, "a kernel failed");
  CHECK(failing.run(others, 0, {1, 1, 1, {}}).message() == "a kernel failed");
  CHECK(failing.recorder.begun == failing.recorder.ended);
  CHECK(failing.recorder.played == 0);
}

TEST_CASE("the recordings longest not used make room") {
  Bench b;
  Recordings recordings(b.recorder, 2);
  const StepShape one{1, 1, 1, {}}, two{2, 2, 2, {}}, three{3, 3, 3, {}};
  for (const StepShape& shape : {one, one, two, two, one, three}) CHECK(b.run(recordings, 0, shape).ok());
  CHECK(b.recorder.played == 3);
  CHECK(b.run(recordings, 0, one).ok());  // still there
  CHECK(b.recorder.played == 4);
  b.plain = 0;
  CHECK(b.run(recordings, 0, two).ok());  // gone
  CHECK(b.plain == 1);
}

StepInput step_with(std::vector<int32_t> ids, int32_t stride) {
  StepInput step;
  const auto n = static_cast<int32_t>(ids.size());
  for (int32_t i = 0; i < n; ++i) {
    step.positions.push_back(40 + i), step.sequence_begin.push_back(i + 1), step.context_lengths.push_back(41 + i);
    step.logit_row_tokens.push_back(i);
  }
  step.token_ids = std::move(ids);
  PageTableInput table{.stride = stride, .pages = {}};
  for (int32_t i = 0; i < n * stride; ++i) table.pages.push_back(100 + i);
  step.page_tables.push_back(std::move(table));
  return step;
}

TEST_CASE("steps of one shape lie at the same addresses, with the numbers of the latest") {
  NullDevice device(1 << 20);
  auto stream = device.create_stream();
  auto arrays = StepArrays::create(device, 64, "step");
  REQUIRE(arrays.ok());
  StepOutput output;
  StepViewStorage storage;
  const auto upload = [&](const StepInput& step) {
    StepView view = view_step(step, output, storage);
    const auto shape = (*arrays)->upload(**stream, step, view, storage.page_tables);
    REQUIRE(shape.ok());
    return std::make_pair(view, *shape);
  };
  const StepInput first = step_with({7, 8}, 3), second = step_with({9, 10}, 4), wider = step_with({1, 2}, 5);
  const auto [a, a_shape] = upload(first);
  CHECK(std::vector<int32_t>(a.token_ids, a.token_ids + 2) == first.token_ids);
  CHECK(std::vector<int32_t>(a.positions, a.positions + 2) == first.positions);
  CHECK(std::vector<int32_t>(a.sequence_begin, a.sequence_begin + 3) == first.sequence_begin);
  CHECK(std::vector<int32_t>(a.context_lengths, a.context_lengths + 2) == first.context_lengths);
  CHECK(std::vector<int32_t>(a.logit_row_tokens, a.logit_row_tokens + 2) == first.logit_row_tokens);
  const int32_t* const pages = a.page_tables[0].pages;
  CHECK(a.page_tables[0].stride == 4);
  CHECK(std::vector<int32_t>(pages, pages + 8) == std::vector<int32_t>{100, 101, 102, -1, 103, 104, 105, -1});
  const auto [b, b_shape] = upload(second);
  CHECK(a_shape == b_shape);
  CHECK(a.token_ids == b.token_ids);
  CHECK(b.page_tables[0].pages == pages);
  CHECK(b.token_ids[0] == 9);
  CHECK(std::vector<int32_t>(pages, pages + 8) == second.page_tables[0].pages);
  CHECK_FALSE(upload(wider).second == a_shape);
  CHECK((*arrays)->generation() == 1);
  CHECK(upload(step_with(std::vector<int32_t>(40, 5), 3)).second.tokens == 40);  // makes room
  CHECK((*arrays)->generation() == 2);
}

}  // namespace
}  // namespace tare
