// The ring in its smallest form: right sums, however often. It also shows what compute-sanitizer's racecheck makes of
// an order that rests on mbarriers alone (docs/benchmarks/linear-cuda.md, Sanitizers).
#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "tests/gpu/gpu.hpp"

namespace tare::jit {
SourceBundle ring_test_bundle();
}

using namespace tare;

TEST_CASE("a warp reads what the copy engine wrote, slot after slot") {
  gpu_test::Gpu gpu({jit::ring_test_bundle()});
  if (!gpu.device) return;
  const std::string architecture(gpu.launcher->architecture());
  if (!architecture.starts_with("sm_9") && !architecture.starts_with("sm_1")) {
    std::printf("skipped: %s has no copy engine\n", architecture.c_str());
    return;
  }
  const auto compiled = gpu.jit->compile({"tests/gpu/ring.cuh", "tare::ring_test::ring", architecture});
  REQUIRE_MESSAGE(compiled.ok(), compiled.status().message());
  auto kernel = gpu.launcher->load(**compiled, 0);
  REQUIRE(kernel.ok());
  auto stream = gpu.device->create_stream();
  REQUIRE(stream.ok());
  constexpr int32_t kMostSteps = 64;
  std::vector<uint32_t> words(kMostSteps * 256);
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint32_t>(i * 2654435761u);
  auto from = gpu.device->allocate(words.size() * 4, Purpose::staging, "test/words");
  auto to = gpu.device->allocate(16, Purpose::staging, "test/sum");
  REQUIRE((from.ok() && to.ok()));
  REQUIRE(gpu.device->copy_in(**stream, (*from)->data(), words.data(), words.size() * 4).ok());
  for (int32_t steps = 1; steps <= kMostSteps; steps *= 2) {
    const void* source = (*from)->data();
    void* sum = (*to)->data();
    void* arguments[] = {&source, &steps, &sum};
    REQUIRE(gpu.launcher->launch(**stream, **kernel, {.grid_x = 1, .threads = 64}, arguments).ok());
    uint32_t got = 0, expected = 0;
    REQUIRE(gpu.device->copy_out(**stream, &got, sum, 4).ok());
    REQUIRE((*stream)->synchronize().ok());
    for (int32_t i = 0; i < steps * 256; ++i) expected += words[static_cast<size_t>(i)];
    CHECK(got == expected);
  }
}
