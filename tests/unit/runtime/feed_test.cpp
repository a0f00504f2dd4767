// The ring that weights travel through: order, contents, a consumer that is slower or faster than the threads, failures
// and an end before the end.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <future>

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
        device, {kInputs, 1 << 20, ring}, "ring",
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
      CHECK(reinterpret_cast<uintptr_t>(arrived->data) % 256 == 0);
      if (i % 37 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the threads run into the end
      for (int64_t at = 0; at < size_of_input(i); ++at) wrong += arrived->data[at] != byte_of(i, at);
      (*feed)->release(arrived->number);
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
  auto feed = WeightFeed::create(device, {8, 1 << 20, 8 * 30208}, "ring",
                                 [&](int64_t i) { return Result<FeedInput>(input_of(i, 30000)); }, {});
  REQUIRE(feed.ok());
  std::vector<const std::byte*> held;
  for (int64_t i = 0; i < 8; ++i) held.push_back((*feed)->next()->data);
  int64_t wrong = 0;
  for (int64_t i = 0; i < 8; ++i)
    for (int64_t at = 0; at < 30000; ++at) wrong += held[static_cast<size_t>(i)][at] != byte_of(i, at);
  CHECK(wrong == 0);
}

TEST_CASE("a failure ends the feed with its sentence, wherever it is met") {
  StagingDevice device;
  const auto run = [&](int64_t bad_open, int64_t bad_fill, int64_t bytes) {
    auto feed =
        WeightFeed::create(device, {20, 1 << 20, 30208}, "ring",
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
      (*feed)->release(arrived->number);
    }
    return std::string("no failure");
  };
  CHECK(run(-1, -1, 20000) == "no failure");
  CHECK(run(7, -1, 20000) == "input 7 cannot be opened");
  CHECK(run(-1, 5, 20000) == "input 5 is damaged");
  CHECK(run(-1, -1, 40000) == "an input of 40000 bytes, the ring has 30208");
  CHECK(device.in_use == 0);
}

TEST_CASE("a feed that nobody empties stops at once") {
  StagingDevice device;
  for (int taken : {0, 1, 5}) {
    auto feed = WeightFeed::create(device, {1000, 1 << 20, 65536}, "ring",
                                   [&](int64_t i) { return Result<FeedInput>(input_of(i, 20000)); }, {});
    REQUIRE(feed.ok());
    for (int i = 0; i < taken; ++i) {
      const auto arrived = (*feed)->next();
      REQUIRE(arrived.ok());
      if (i < taken - 1) (*feed)->release(arrived->number);
    }
  }
  CHECK(device.in_use == 0);
}

TEST_CASE("inputs with memory of their own go there, and take no part of the ring") {
  StagingDevice device;
  for (const bool checked : {false, true}) {
    CAPTURE(checked);
    std::vector<std::vector<std::byte>> own(60);
    std::atomic<int> wrong = 0;
    std::vector<std::atomic<int64_t>> looked(60);
    std::vector<std::atomic<bool>> seen(60);
    const auto open = [&](int64_t i) {
      FeedInput input = input_of(i, 30000);
      if (i % 3 == 0) return Result<FeedInput>(std::move(input));  // through the ring
      own[static_cast<size_t>(i)].resize(30000);
      input.to = own[static_cast<size_t>(i)].data();
      if (checked)
        input.look = [&, i](int64_t begin, std::span<const std::byte> chunk) {
          looked[static_cast<size_t>(i)] += static_cast<int64_t>(chunk.size());
          if (begin == 0)
            std::this_thread::sleep_for(std::chrono::microseconds(300)), seen[static_cast<size_t>(i)] = true;
          wrong += !seen[static_cast<size_t>(i)];  // the first one before the others
          for (size_t at = 0; at < chunk.size(); ++at)
            wrong += chunk[at] != byte_of(i, begin + static_cast<int64_t>(at));
          return Status();
        };
      return Result<FeedInput>(std::move(input));
    };
    auto feed = WeightFeed::create(device, {60, 1 << 20, 65536}, "ring", open, {});
    REQUIRE(feed.ok());
    for (int64_t i = 0; i < 60; ++i) {
      const auto arrived = (*feed)->next();
      REQUIRE_MESSAGE(arrived.ok(), arrived.status().message());
      CHECK((arrived->data == own[static_cast<size_t>(i)].data()) == (i % 3 != 0));
      for (int64_t at = 0; at < 30000; ++at) wrong += arrived->data[at] != byte_of(i, at);
      (*feed)->release(arrived->number);
    }
    CHECK(wrong == 0);
    for (size_t i = 0; i < 60; ++i) CHECK(looked[i] == (checked && i % 3 != 0 ? 30000 : 0));
  }
}

TEST_CASE("an input of which a chunk is refused is not given to anybody") {
  StagingDevice device;
  for (const size_t bad : {size_t{0}, size_t{4}}) {
    std::vector<std::byte> own(20000);
    const auto open = [&](int64_t i) {
      FeedInput input = input_of(i, 20000);
      if (i == 1) {
        input.to = own.data();
        input.look = [refused = input.cuts[bad]](int64_t begin, std::span<const std::byte>) {
          return begin == refused ? failure(Code::corrupt, "it points past its end") : Status();
        };
      }
      return Result<FeedInput>(std::move(input));
    };
    auto feed = WeightFeed::create(device, {3, 1 << 20, 65536}, "ring", open, {});
    REQUIRE(feed.ok());
    Status last;
    for (int i = 0; i < 3 && last.ok(); ++i) {
      const auto arrived = (*feed)->next();
      if (arrived.ok()) CHECK(arrived->data != own.data());
      last = arrived.ok() ? Status() : arrived.status();
    }
    CHECK(last.message() == "it points past its end");
  }
}

TEST_CASE("inputs may be given back in another order than they came in; the ring's places follow") {
  StagingDevice device;
  auto feed = WeightFeed::create(device, {90, 1 << 20, 3 * 30208}, "ring",
                                 [&](int64_t i) { return Result<FeedInput>(input_of(i, 30000)); }, {});
  REQUIRE(feed.ok());
  int64_t wrong = 0;
  for (int64_t i = 0; i < 90; i += 3) {
    std::vector<WeightFeed::Arrived> held;
    for (int64_t k = 0; k < 3; ++k) held.push_back(*(*feed)->next());
    for (const size_t k : {1, 2, 0}) {
      for (int64_t at = 0; at < 30000; ++at) wrong += held[k].data[at] != byte_of(i + static_cast<int64_t>(k), at);
      (*feed)->release(held[k].number);
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("places in a ring lie behind each other, at the beginning again, and never over one that is in use") {
  RingPlaces ring(1000);
  CHECK(ring.bytes() == 1024);
  CHECK(*ring.take(300) == 0);
  CHECK(*ring.take(200) == 512);
  CHECK(*ring.take(256) == 768);
  CHECK_FALSE(ring.take(1).has_value());
  ring.give_back_oldest();
  CHECK_FALSE(ring.take(513).has_value());
  CHECK(*ring.take(512) == 0);
  CHECK_FALSE(ring.take(1).has_value());
  ring.give_back_oldest();
  CHECK(*ring.take(256) == 512);
  for (int i = 0; i < 3; ++i) ring.give_back_oldest();
  CHECK(*ring.take(1024) == 0);
  CHECK_FALSE(RingPlaces(0).take(1).has_value());
}

TEST_CASE("a ring of no memory serves inputs that do not lie in it") {
  StagingDevice device;
  std::vector<std::byte> own(10 * 20000);
  auto feed = WeightFeed::create(device, {10, 1 << 20, 0}, "ring",
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
    for (int64_t at = 0; at < 20000; ++at) wrong += arrived->data[at] != byte_of(i, at);
    (*feed)->release(arrived->number);
  }
  CHECK(wrong == 0);
}

TEST_CASE("what lies side by side here and there is sent as one copy, whatever the order in which it was filled") {
  StagingDevice device;
  std::promise<void> entered, may_go;
  device.before_copy = [&, first = std::make_shared<std::atomic<bool>>(true)] {
    if (!first->exchange(false)) return;
    entered.set_value();
    may_go.get_future().wait();
  };
  constexpr int64_t kBytes = 4096;
  std::vector<std::byte> there(8 * kBytes);
  std::atomic<int> arrived = 0;
  auto sender = PinnedSender::create(device, 1 << 20, [] {});
  REQUIRE(sender.ok());
  std::vector<PinnedSender::Chunk*> chunks;
  while (chunks.size() < 5) {  // the memory is made by another thread
    const auto taken = (*sender)->take(kBytes);
    REQUIRE(taken.ok());
    if (*taken != nullptr) chunks.push_back(*taken);
    std::this_thread::yield();
  }
  for (size_t i = 0; i < chunks.size(); ++i)
    std::fill_n(PinnedSender::data(*chunks[i]), kBytes, static_cast<std::byte>(i + 1));
  const auto send = [&](size_t chunk, size_t place) {
    (*sender)->send(*chunks[chunk], there.data() + place * kBytes, [&](Status status) {
      CHECK(status.ok());
      ++arrived;
    });
  };
  send(0, 0);
  entered.get_future().wait();
  send(3, 3), send(2, 2), send(1, 1);  // behind each other
  send(4, 6);                          // not on the device
  may_go.set_value();
  sender->reset();
  CHECK(arrived == 5);
  CHECK(device.copies == 3);
  for (const size_t i : {0, 1, 2, 3, 6}) {
    const auto wanted = static_cast<std::byte>(i == 6 ? 5 : i + 1);
    CHECK(std::all_of(&there[i * kBytes], &there[i * kBytes] + kBytes, [&](std::byte b) { return b == wanted; }));
  }
}
