#include "core/app/bandwidth.hpp"

#include <algorithm>
#include <chrono>
#include <vector>

namespace tare {

double read_bandwidth(Device& device) {
  auto* parallel = static_cast<CpuParallel*>(device.query(CpuParallel::kInterface));
  if (parallel == nullptr || !device.host_addressable()) return 0;
  constexpr size_t kBytes = size_t{1} << 30;
  auto buffer = device.allocate(kBytes, Purpose::staging, "bandwidth");
  auto stream = device.create_stream();
  if (!buffer.ok() || !stream.ok() || !device.fill(**stream, (*buffer)->data(), 1, kBytes).ok()) return 0;
  const auto* words = static_cast<const uint64_t*>((*buffer)->data());
  constexpr int64_t kBlock = 512;  // words: a page
  std::vector<uint64_t> sums(static_cast<size_t>(parallel->threads()) * 8);
  double best = 0;
  for (int pass = 0; pass < 5; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    parallel->run(kBytes / 8 / kBlock, 1, [&](int64_t begin, int64_t end, int32_t worker) {
      uint64_t a = 0, b = 0, c = 0, d = 0;
      for (int64_t block = begin; block < end; ++block) {
        const uint64_t* p = words + block * kBlock;
        for (int64_t i = 0; i < kBlock; i += 8) {
          __builtin_prefetch(p + i + 256);
          a ^= p[i] ^ p[i + 4], b ^= p[i + 1] ^ p[i + 5], c ^= p[i + 2] ^ p[i + 6], d ^= p[i + 3] ^ p[i + 7];
        }
      }
      sums[static_cast<size_t>(worker) * 8] += a ^ b ^ c ^ d;
    });
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, static_cast<double>(kBytes) / seconds);
  }
  volatile uint64_t sink = sums[0];
  static_cast<void>(sink);
  return best;
}

}  // namespace tare
