// The CUDA device over a fake driver: what a user is told when there is none, an old one, no GPU, too little memory;
// memory and streams.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/api/ledger.hpp"
#include "jit/cuda_launch.hpp"
#include "plugins/device_cuda/address_range.hpp"
#include "plugins/device_cuda/device.hpp"
#include "plugins/device_cuda/provider.hpp"

using namespace tare;

namespace {
const std::string kFake = std::string(TARE_BINARY_DIR) + "/tests/fake_cuda_driver.so";

struct Setting {
  const char* name;
  Setting(const char* key, const char* value) : name(key) { ::setenv(key, value, 1); }
  ~Setting() { ::unsetenv(name); }
};
}  // namespace

TEST_CASE("no driver: no devices, and a note that says what was looked for") {
  const auto found = cuda::make_provider("/nowhere/libcuda.so.1")->found();
  CHECK(found.devices.empty());
  REQUIRE(found.notes.size() == 1);
  CHECK(found.notes[0].find("no NVIDIA driver: /nowhere/libcuda.so.1") == 0);
}

TEST_CASE("a driver that is too old says which is needed") {
  const Setting old("FAKE_CUDA_VERSION", "12040");
  const auto opened = cuda::make_provider(kFake)->open("cuda:0", {});
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.status().message() ==
        "the NVIDIA driver supports CUDA 12.4, the kernels need 13.0: update to driver 580 or newer");
}

TEST_CASE("a driver that cannot be used is told of; that there is none, or no GPU, is not") {
  const auto trouble = [](const char* name, const char* value) {
    const Setting setting(name, value);
    const auto found = cuda::make_provider(kFake)->found();
    if (!found.trouble.empty()) CHECK(std::ranges::count(found.notes, found.trouble) == 1);
    return found.trouble;
  };
  CHECK(trouble("FAKE_CUDA_VERSION", "12040").find("update to driver 580 or newer") != std::string::npos);
  CHECK(trouble("FAKE_CUDA_INIT", "999").find("cuInit: CUDA_ERROR_FAKE 999") == 0);
  CHECK(trouble("FAKE_CUDA_INIT", "100").empty());
  CHECK(trouble("FAKE_CUDA_DEVICES", "0").empty());
  CHECK(cuda::make_provider(kFake)->found().trouble.empty());
  CHECK(cuda::make_provider("/nowhere/libcuda.so.1")->found().trouble.empty());
}

TEST_CASE("devices are found with their names and sizes") {
  const auto found = cuda::make_provider(kFake)->found();
  REQUIRE(found.devices.size() == 1);
  CHECK(found.devices[0].id == "cuda:0");
  CHECK(found.devices[0].sku == "nvidia-h100-sxm");
  CHECK(found.devices[0].architecture == "sm90");
  CHECK(found.devices[0].units == 132);
  // What lies beside the driver: what was found where, or where it was not.
  REQUIRE(found.notes.size() == 3);
  CHECK(found.notes[0] == "NVIDIA driver for CUDA 13.0");
  CHECK(found.notes[1].find("libcublasLt.so.13") != std::string::npos);
  CHECK((found.notes[2].starts_with("NCCL 2.") || found.notes[2].starts_with("libnccl.so.2 was not found: not in ")));
}

TEST_CASE("a device that does not exist is refused by name") {
  const auto provider = cuda::make_provider(kFake);
  CHECK(provider->open("cuda:1", {}).status().message() == "cuda:1 does not exist: this machine has 1 GPU");
  CHECK(provider->open("gpu0", {}).status().message() == "\"gpu0\" is no CUDA device: expected cuda:0, cuda:1, ...");
}

TEST_CASE("memory goes out and comes back under a budget, with figures when it is too little") {
  DeviceOptions options;
  options.memory_bytes = 1 << 20;
  auto device = cuda::make_provider(kFake)->open("cuda:0", options);
  REQUIRE(device.ok());
  auto stream = (*device)->create_stream();
  REQUIRE(stream.ok());
  {
    auto buffer = (*device)->allocate(1 << 19, Purpose::weights, "model/weights");
    REQUIRE(buffer.ok());
    std::vector<char> in(1 << 19, 'x'), out(1 << 19);
    CHECK((*device)->copy_in(**stream, (*buffer)->data(), in.data(), in.size()).ok());
    CHECK((*device)->copy_out(**stream, out.data(), (*buffer)->data(), out.size()).ok());
    CHECK((*stream)->synchronize().ok());
    CHECK(in == out);
    const auto refused = (*device)->allocate(1 << 20, Purpose::state, "model/state");
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.status().code() == Code::exhausted);
    CHECK(
        refused.status().message() ==
        "cuda:0: 'model/state' (state) needs 1048576 bytes (1.0 MiB), but only 524288 bytes (512.0 KiB) of the budget "
        "of 1048576 bytes (1.0 MiB) is free");
    const auto* ledger = static_cast<const Ledger*>((*device)->query(Ledger::kInterface));
    REQUIRE(ledger != nullptr);
    CHECK(ledger->lines() == std::vector<Ledger::Line>{{Purpose::weights, "model/weights", 1 << 19, 1}});
  }
  CHECK((*device)->allocate(1 << 20, Purpose::state, "model/state").ok());
}

TEST_CASE("a budget larger than what is free is refused at the start") {
  const Setting little("FAKE_CUDA_FREE", "1000000");
  DeviceOptions options;
  options.memory_bytes = 2000000;
  const auto opened = cuda::make_provider(kFake)->open("cuda:0", options);
  REQUIRE_FALSE(opened.ok());
  CHECK(opened.status().message().find("1000000 of 85899345920 bytes free, the budget asks for 2000000") !=
        std::string::npos);
}

TEST_CASE("the driver running out names the call and what it was for, and nothing stays allocated") {
  const Setting little("FAKE_CUDA_FREE", "100000");
  auto device = cuda::make_provider(kFake)->open("cuda:0", {});
  REQUIRE(device.ok());
  ::setenv("FAKE_CUDA_FREE", "1000", 1);
  const auto refused = (*device)->allocate(50000, Purpose::workspace, "linear/partial sums");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().message() ==
        "cuMemAlloc (50000 bytes for linear/partial sums): CUDA_ERROR_OUT_OF_MEMORY 2, out of memory; free device "
        "memory or lower the budget");
  ::setenv("FAKE_CUDA_FREE", "100000", 1);
  CHECK((*device)->allocate(100000, Purpose::workspace, "all").ok());
}

namespace {
cuda::ContextRef fake_context() {
  auto driver = cuda::Driver::open(kFake);
  REQUIRE(driver.ok());
  auto context = cuda::Context::create(*driver, 0);
  REQUIRE(context.ok());
  return *context;
}
constexpr size_t kUnit = size_t{2} << 20;
}  // namespace

TEST_CASE("small weights share a unit of memory, which is there as long as one of them lives") {
  auto range = cuda::AddressRange::reserve(fake_context(), 64 * kUnit);
  REQUIRE(range.ok());
  CHECK((*range)->mapped() == 0);
  const auto first = (*range)->take(1000, "first"), second = (*range)->take(3 * kUnit, "second"),
             third = (*range)->take(1000, "third");
  REQUIRE((first.ok() && second.ok() && third.ok()));
  CHECK(*first == (*range)->base());
  CHECK(*second == *first + 1024);  // side by side
  CHECK((*range)->mapped() == 4 * kUnit);
  std::memset(reinterpret_cast<void*>(*second), 1, 3 * kUnit);  // all of it can be touched
  std::memset(reinterpret_cast<void*>(*third), 2, 1000);
  (*range)->give_back(*second, 3 * kUnit);
  CHECK((*range)->mapped() == 4 * kUnit);  // the two others touch both pieces
  (*range)->give_back(*first, 1000);
  CHECK((*range)->mapped() == 3 * kUnit);
  CHECK(*reinterpret_cast<const unsigned char*>(*third) == 2);
  const auto again = (*range)->take(kUnit, "again");  // into the hole, whose first unit is mapped anew
  REQUIRE(again.ok());
  CHECK(*again == *first);
  std::memset(reinterpret_cast<void*>(*again), 3, kUnit);
  (*range)->give_back(*again, kUnit);
  (*range)->give_back(*third, 1000);
  CHECK((*range)->mapped() == 0);
  const auto all = (*range)->take(64 * kUnit, "all");  // holes have grown together
  REQUIRE(all.ok());
  CHECK((*range)->take(1, "one more").status().message() ==
        "the reserved range of 134217728 bytes of addresses has no hole of 512 (one more)");
  (*range)->give_back(*all, 64 * kUnit);
}

TEST_CASE("weights that the driver has no memory for are refused with the call, and leave nothing mapped") {
  const Setting little("FAKE_CUDA_FREE", "8388608");
  auto device = cuda::make_provider(kFake)->open("cuda:0", {});
  REQUIRE(device.ok());
  auto kept = (*device)->allocate(5 * kUnit / 2, Purpose::weights, "model/weights");
  REQUIRE(kept.ok());
  ::setenv("FAKE_CUDA_FREE", "6300000", 1);
  const auto refused = (*device)->allocate(kUnit, Purpose::weights, "model/more");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().message() ==
        "cuMemCreate (2097152 bytes for model/more): CUDA_ERROR_OUT_OF_MEMORY 2, out of memory; free device memory or "
        "lower the budget");
  kept->reset();
  CHECK((*device)->allocate(3 * kUnit, Purpose::weights, "model/weights").ok());
}

TEST_CASE("pinned memory of any size can be filled, where memory cannot be registered too") {
  for (const char* error : {"0", "801"}) {
    const Setting refused("FAKE_CUDA_NO_REGISTER", error);
    auto device = cuda::make_provider(kFake)->open("cuda:0", {});
    REQUIRE(device.ok());
    auto* pinned = static_cast<PinnedMemory*>((*device)->query(PinnedMemory::kInterface));
    REQUIRE(pinned != nullptr);
    for (const size_t bytes : {size_t{1}, kUnit, 3 * kUnit + 17}) {
      const auto buffer = pinned->allocate_pinned(bytes);
      REQUIRE(buffer.ok());
      CHECK((*buffer)->bytes() == bytes);
      std::memset((*buffer)->data(), 1, bytes);
    }
  }
}

TEST_CASE("a device that maps no memory gives plain allocations") {
  const Setting plain("FAKE_CUDA_NO_MAPPING", "1");
  auto device = cuda::make_provider(kFake)->open("cuda:0", {});
  REQUIRE(device.ok());
  auto buffer = (*device)->allocate(1000, Purpose::state, "model/state");
  REQUIRE(buffer.ok());
  std::memset((*buffer)->data(), 1, 1000);
}

TEST_CASE("the launcher is found by its interface and records graphs that keep their kernels") {
  auto device = cuda::make_provider(kFake)->open("cuda:0", {});
  REQUIRE(device.ok());
  CHECK((*device)->query("nothing/1") == nullptr);
  auto* launcher = static_cast<jit::CudaLaunch*>((*device)->query(jit::CudaLaunch::kInterface));
  REQUIRE(launcher != nullptr);
  CHECK(launcher->architecture() == "sm_90a");
  jit::CompiledKernel compiled;
  compiled.symbol = "k", compiled.cubin = {1, 2, 3};
  CHECK_FALSE(launcher->load(compiled, 300000).ok());  // more shared memory than a block has
  auto stream = (*device)->create_stream();
  REQUIRE(stream.ok());
  REQUIRE(launcher->begin_recording(**stream).ok());
  {
    auto kernel = launcher->load(compiled, 100000);
    REQUIRE(kernel.ok());
    void* arguments[] = {nullptr};
    CHECK(launcher->launch(**stream, **kernel, {}, arguments).ok());
  }
  auto graph = launcher->end_recording(**stream);
  REQUIRE(graph.ok());
  CHECK((*graph)->launch(**stream).ok());
}

TEST_CASE("the ledger shows what recorded steps take, and the budget holds for them") {
  const Setting graphs("FAKE_CUDA_GRAPH_BYTES", "3145728");
  DeviceOptions options;
  options.memory_bytes = 4 << 20;
  auto device = cuda::make_provider(kFake)->open("cuda:0", options);
  REQUIRE(device.ok());
  auto* launcher = static_cast<jit::CudaLaunch*>((*device)->query(jit::CudaLaunch::kInterface));
  const auto* ledger = static_cast<const Ledger*>((*device)->query(Ledger::kInterface));
  auto stream = (*device)->create_stream();
  REQUIRE(stream.ok());
  const auto record = [&] {
    REQUIRE(launcher->begin_recording(**stream).ok());
    return launcher->end_recording(**stream);
  };
  {
    const auto first = record();
    REQUIRE_MESSAGE(first.ok(), first.status().message());
    CHECK(ledger->lines() == std::vector<Ledger::Line>{{Purpose::graphs, "recorded steps", 3 << 20, 1}});
    const auto second = record();
    REQUIRE_FALSE(second.ok());
    CHECK(second.status().code() == Code::exhausted);
    CHECK(second.status().message().starts_with("cuda:0: 'recorded steps' (graphs) needs 3145728 bytes"));
    CHECK(ledger->in_use() == 3 << 20);
    CHECK((*first)->launch(**stream).ok());
  }
  CHECK(ledger->lines().empty());
  CHECK(record().ok());  // what was refused is not held either
}

TEST_CASE("a GPU's name becomes its slug") {
  CHECK(cuda::sku_slug("NVIDIA H200") == "nvidia-h200");
  CHECK(cuda::sku_slug("NVIDIA H100 80GB HBM3") == "nvidia-h100-sxm");
  CHECK(cuda::sku_slug("NVIDIA GeForce RTX 5090 (Laptop)") == "nvidia-geforce-rtx-5090-laptop");
}
