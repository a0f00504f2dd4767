// NCCL through its table: two GPUs add up what each holds. Without two it says so and passes.
#include <doctest/doctest.h>

#include <cstdio>
#include <vector>

#include "jit/cuda_launch.hpp"
#include "plugins/device_cuda/library.hpp"
#include "plugins/device_cuda/nccl.hpp"
#include "plugins/device_cuda/provider.hpp"

using namespace tare;

TEST_CASE("two GPUs add up what each holds") {
  const auto provider = cuda::make_provider();
  const auto found = provider->found();
  if (found.devices.empty()) {
    std::printf("skipped: no CUDA device\n");
    return;
  }
  if (found.devices.size() < 2) {
    std::printf("skipped: one CUDA device, two are needed\n");
    return;
  }
  const auto opened = cuda::Nccl::open(cuda::toolkit_folders());
  REQUIRE_MESSAGE(opened.ok(), opened.status().message());
  const cuda::Nccl& nccl = **opened;
  constexpr size_t kCount = 1 << 20;
  struct Rank {
    std::unique_ptr<Device> device;
    std::unique_ptr<Stream> stream;
    std::unique_ptr<Buffer> buffer;
    jit::CudaLaunch* launcher = nullptr;
  };
  std::vector<Rank> ranks(2);
  for (size_t r = 0; r < ranks.size(); ++r) {
    auto device = provider->open("cuda:" + std::to_string(r), {});
    REQUIRE_MESSAGE(device.ok(), device.status().message());
    ranks[r].device = std::move(*device);
    ranks[r].launcher = static_cast<jit::CudaLaunch*>(ranks[r].device->query(jit::CudaLaunch::kInterface));
    auto stream = ranks[r].device->create_stream();
    // In reserved addresses, as weights and state are.
    auto buffer = ranks[r].device->allocate(kCount * sizeof(float), Purpose::state, "sums");
    REQUIRE((stream.ok() && buffer.ok()));
    ranks[r].stream = std::move(*stream), ranks[r].buffer = std::move(*buffer);
    std::vector<float> mine(kCount);
    for (size_t i = 0; i < kCount; ++i) mine[i] = static_cast<float>(i % 1000) + static_cast<float>(r) * 0.5f;
    REQUIRE(ranks[r].device->copy_in(*ranks[r].stream, ranks[r].buffer->data(), mine.data(), kCount * 4).ok());
    REQUIRE(ranks[r].stream->synchronize().ok());
  }
  cuda::NcclComm comms[2] = {};
  const int ordinals[2] = {0, 1};
  REQUIRE(nccl.check(nccl.ncclCommInitAll(comms, 2, ordinals), "ncclCommInitAll").ok());
  REQUIRE(nccl.ncclGroupStart() == 0);
  for (size_t r = 0; r < ranks.size(); ++r) {
    void* const at = ranks[r].buffer->data();
    const Status status = nccl.check(nccl.ncclAllReduce(at, at, kCount, cuda::kNcclFloat32, cuda::kNcclSum, comms[r],
                                                        ranks[r].launcher->native(*ranks[r].stream)),
                                     "ncclAllReduce");
    REQUIRE_MESSAGE(status.ok(), status.message());
  }
  REQUIRE(nccl.ncclGroupEnd() == 0);
  for (Rank& rank : ranks) {
    std::vector<float> sums(kCount);
    REQUIRE(rank.device->copy_out(*rank.stream, sums.data(), rank.buffer->data(), kCount * 4).ok());
    REQUIRE(rank.stream->synchronize().ok());
    size_t wrong = 0;
    for (size_t i = 0; i < kCount; ++i) wrong += sums[i] != 2 * static_cast<float>(i % 1000) + 0.5f;
    CHECK(wrong == 0);
  }
  for (const cuda::NcclComm comm : comms) CHECK(nccl.ncclCommDestroy(comm) == 0);
}
