// What the device promises of memory: pinned memory of any size carries copies both ways, and recorded work is in the
// ledger as long as it lives.
#include <cstring>
#include <vector>

#include "core/api/ledger.hpp"
#include "tests/gpu/gpu.hpp"

using namespace tare;
using namespace tare::gpu_test;

TEST_CASE("pinned memory carries copies, small and of many pages") {
  const Gpu gpu({});
  if (gpu.device == nullptr) return;
  const auto stream = std::move(*gpu.device->create_stream());
  auto* pinned = static_cast<PinnedMemory*>(gpu.device->query(PinnedMemory::kInterface));
  REQUIRE(pinned != nullptr);
  for (const size_t bytes : {size_t{300}, size_t{2} << 20, (size_t{5} << 20) + 17}) {
    CAPTURE(bytes);
    const auto there = gpu.device->allocate(bytes, Purpose::staging, "test");
    const auto out = pinned->allocate_pinned(bytes), in = pinned->allocate_pinned(bytes);
    REQUIRE((there.ok() && out.ok() && in.ok()));
    auto* const from = static_cast<unsigned char*>((*out)->data());
    for (size_t i = 0; i < bytes; ++i) from[i] = static_cast<unsigned char>(i * 7 + i / 251);
    REQUIRE(gpu.device->copy_in(*stream, (*there)->data(), from, bytes).ok());
    REQUIRE(gpu.device->copy_out(*stream, (*in)->data(), (*there)->data(), bytes).ok());
    REQUIRE(stream->synchronize().ok());
    CHECK(std::memcmp(from, (*in)->data(), bytes) == 0);
  }
}

TEST_CASE("recorded work is in the ledger, and leaves it") {
  const Gpu gpu({});
  if (gpu.device == nullptr) return;
  const auto stream = std::move(*gpu.device->create_stream());
  const auto* ledger = static_cast<const Ledger*>(gpu.device->query(Ledger::kInterface));
  const auto buffer = gpu.device->allocate(4096, Purpose::workspace, "test");
  REQUIRE(buffer.ok());
  std::vector<std::unique_ptr<RecordedWork>> recorded;
  for (int i = 0; i < 32; ++i) {
    REQUIRE(gpu.launcher->begin_recording(*stream).ok());
    for (int fill = 0; fill < 300; ++fill)
      REQUIRE(gpu.device->fill(*stream, (*buffer)->data(), static_cast<uint8_t>(i), 4096).ok());
    auto work = gpu.launcher->end_recording(*stream);
    REQUIRE_MESSAGE(work.ok(), work.status().message());
    REQUIRE((*work)->launch(*stream).ok());
    recorded.push_back(std::move(*work));
  }
  std::vector<unsigned char> back(4096);
  REQUIRE(gpu.device->copy_out(*stream, back.data(), (*buffer)->data(), back.size()).ok());
  REQUIRE(stream->synchronize().ok());
  CHECK(back == std::vector<unsigned char>(4096, 31));
  int64_t bytes = 0, held = 0;
  for (const Ledger::Line& line : ledger->lines())
    if (line.purpose == Purpose::graphs) bytes += line.bytes, held += line.buffers;
  std::printf("32 recordings of 300 steps: %lld bytes of device memory\n", static_cast<long long>(bytes));
  CHECK(held == 32);
  CHECK(bytes > 0);
  recorded.clear();
  CHECK(ledger->lines() == std::vector<Ledger::Line>{{Purpose::workspace, "test", 4096, 1}});
}
