// The ring that weights travel through: order, contents, a consumer that is slower or faster than the threads, failures
// and an end before the end.
#include <doctest/doctest.h>

#include <chrono>

#include "core/runtime/weight_feed.hpp"
#include "tests/unit/runtime/staging_device.hpp"

using namespace tare;
using namespace tare::testing;

namespace {

std::byte byte_of(int64_t input, int64_t at) { return static_cast<std::byte>(input * 31 + at * 7 + at / 251); }

// Input i has `sizes[i]` bytes in chunks of uneven length.
FeedInput input_of(int64_t i, int64_t bytes) {
  FeedInput out;
  for (int64_t at = 0; at < bytes; at += 1000 + 777 * (i % 5)) out.cuts.push_back(at);
  out.cuts.push_back(bytes);
  out.plain_bytes = bytes * 2;
  out.fill = [i, cuts = out.cuts](size_t chunk, std::byte* to) {
    for (int64_t at = cuts[chunk]; at < cuts[chunk + 1]; ++at) *to++ = byte_of(i, at);
    return Status();
  };
  return out;
}
int64_t size_of_input(int64_t i) { return 1 + i * 7919 % 30000; }

}  // namespace

TEST_CASE("inputs arrive whole and in order through a ring that holds few of them") {
  StagingDevice device;
  for (const int64_t ring : {int64_t{30208}, int64_t{65536}, int64_t{1} << 20}) {
    CAPTURE(ring);
    constexpr int64_t kInputs = 300;
    std::atomic<int64_t> told = 0, opened = 0;
    int64_t all = 0;
    for (int64_t i = 0; i < kInputs; ++i) all += size_of_input(i);
    device.sent = 0;
    auto feed = WeightFeed::create(
        device, kInputs, {.bytes = ring}, "ring",
        [&](int64_t i) {
          CHECK(opened++ == i);
          return Result<FeedInput>(input_of(i, size_of_input(i)));
        },
        [&](int64_t bytes) { told += bytes; });
    REQUIRE(feed.ok());
    CHECK(device.largest == ring);
    int64_t wrong = 0;
    for (int64_t i = 0; i < kInputs; ++i) {
      const auto arrived = (*feed)->next();
      REQUIRE_MESSAGE(arrived.ok(), arrived.status().message());
      CHECK(reinterpret_cast<uintptr_t>(*arrived) % 256 == 0);
      if (i % 37 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the threads run into the end
      for (int64_t at = 0; at < size_of_input(i); ++at) wrong += (*arrived)[at] != byte_of(i, at);
      (*feed)->release();
    }
    CHECK(wrong == 0);
    feed->reset();
    CHECK(told == 2 * all);
    CHECK(device.sent == all);
    CHECK(device.in_use == 0);
    device.largest = 0;
  }
}

TEST_CASE("several inputs may be in use at once") {
  StagingDevice device;
  auto feed = WeightFeed::create(device, 8, {.bytes = 8 * 30208}, "ring",
                                 [&](int64_t i) { return Result<FeedInput>(input_of(i, 30000)); }, {});
  REQUIRE(feed.ok());
  std::vector<const std::byte*> held;
  for (int64_t i = 0; i < 8; ++i) held.push_back(*(*feed)->next());
  int64_t wrong = 0;
  for (int64_t i = 0; i < 8; ++i)
    for (int64_t at = 0; at < 30000; ++at) wrong += held[static_cast<size_t>(i)][at] != byte_of(i, at);
  CHECK(wrong == 0);
}

TEST_CASE("a failure ends the feed with its sentence, wherever it is met") {
  StagingDevice device;
  const auto run = [&](int64_t bad_open, int64_t bad_fill, int64_t bytes) {
    auto feed =
        WeightFeed::create(device, 20, {.bytes = 30208}, "ring",
                           [&](int64_t i) -> Result<FeedInput> {
                             if (i == bad_open) return failure(Code::corrupt, "input ", i, " cannot be opened");
                             FeedInput input = input_of(i, bytes);
                             if (i == bad_fill)
                               input.fill = [i](size_t chunk, std::byte*) {
                                 return chunk == 1 ? failure(Code::corrupt, "input ", i, " is damaged") : Status();
                               };
                             return input;
                           },
                           {});
    REQUIRE(feed.ok());
    for (int i = 0; i < 20; ++i) {
      const auto arrived = (*feed)->next();
      if (!arrived.ok()) return arrived.status().message();
      (*feed)->release();
    }
    return std::string("no failure");
  };
  CHECK(run(-1, -1, 20000) == "no failure");
  CHECK(run(7, -1, 20000) == "input 7 cannot be opened");
  CHECK(run(-1, 5, 20000) == "input 5 is damaged");
  CHECK(run(-1, -1, 40000) == "an input of 40192 bytes, the ring has 30208");
  CHECK(device.in_use == 0);
}

TEST_CASE("a feed that nobody empties stops at once") {
  StagingDevice device;
  for (int taken : {0, 1, 5}) {
    auto feed = WeightFeed::create(device, 1000, {.bytes = 65536}, "ring",
                                   [&](int64_t i) { return Result<FeedInput>(input_of(i, 20000)); }, {});
    REQUIRE(feed.ok());
    for (int i = 0; i < taken; ++i) {
      REQUIRE((*feed)->next().ok());
      if (i < taken - 1) (*feed)->release();
    }
  }
  CHECK(device.in_use == 0);
}

TEST_CASE("inputs with memory of their own go there, and take no part of the ring") {
  StagingDevice device;
  for (const bool checked : {false, true}) {
    CAPTURE(checked);
    std::vector<std::vector<std::byte>> own(60);
    std::atomic<int> looked = 0, wrong = 0;
    const auto open = [&](int64_t i) {
      FeedInput input = input_of(i, 30000);
      if (i % 3 == 0) return Result<FeedInput>(std::move(input));  // through the ring
      own[static_cast<size_t>(i)].resize(30000);
      input.to = own[static_cast<size_t>(i)].data();
      if (checked)
        input.check = [&, i](std::span<const std::byte> all) {
          ++looked;
          wrong += all.size() != 30000;
          for (size_t at = 0; at < all.size(); ++at) wrong += all[at] != byte_of(i, static_cast<int64_t>(at));
          return Status();
        };
      return Result<FeedInput>(std::move(input));
    };
    auto feed =
        WeightFeed::create(device, 60, {.bytes = 65536, .on_device = true, .on_host = checked}, "ring", open, {});
    REQUIRE(feed.ok());
    for (int64_t i = 0; i < 60; ++i) {
      const auto arrived = (*feed)->next();
      REQUIRE_MESSAGE(arrived.ok(), arrived.status().message());
      CHECK((*arrived == own[static_cast<size_t>(i)].data()) == (i % 3 != 0));
      for (int64_t at = 0; at < 30000; ++at) wrong += (*arrived)[at] != byte_of(i, at);
      (*feed)->release();
    }
    CHECK(wrong == 0);
    CHECK(looked == (checked ? 40 : 0));
  }
}

TEST_CASE("an input that its check refuses is not given to anybody") {
  StagingDevice device;
  std::vector<std::byte> own(20000);
  auto feed = WeightFeed::create(device, 3, {.bytes = 65536, .on_device = true, .on_host = true}, "ring",
                                 [&](int64_t i) {
                                   FeedInput input = input_of(i, 20000);
                                   if (i == 1) {
                                     input.to = own.data();
                                     input.check = [](std::span<const std::byte>) {
                                       return failure(Code::corrupt, "it points past its end");
                                     };
                                   }
                                   return Result<FeedInput>(std::move(input));
                                 },
                                 {});
  REQUIRE(feed.ok());
  Status last;
  for (int i = 0; i < 3 && last.ok(); ++i) {
    const auto arrived = (*feed)->next();
    if (arrived.ok()) CHECK(*arrived != own.data());
    last = arrived.ok() ? Status() : arrived.status();
  }
  CHECK(last.message() == "it points past its end");
}

TEST_CASE("a ring of no memory serves inputs that do not lie in it") {
  StagingDevice device;
  std::vector<std::byte> own(10 * 20000);
  auto feed = WeightFeed::create(device, 10, {.bytes = 0, .on_device = false}, "ring",
                                 [&](int64_t i) {
                                   FeedInput input = input_of(i, 20000);
                                   input.to = own.data() + i * 20000;
                                   return Result<FeedInput>(std::move(input));
                                 },
                                 {});
  REQUIRE(feed.ok());
  CHECK(device.largest == 0);
  int64_t wrong = 0;
  for (int64_t i = 0; i < 10; ++i) {
    const auto arrived = (*feed)->next();
    REQUIRE(arrived.ok());
    for (int64_t at = 0; at < 20000; ++at) wrong += (*arrived)[at] != byte_of(i, at);
    (*feed)->release();
  }
  CHECK(wrong == 0);
}
