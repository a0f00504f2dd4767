#include <algorithm>

#include "core/device/null_device.hpp"
#include "plugins/device_cpu/cpu_device.hpp"
#include "tests/contract/device_contract.hpp"

namespace tare {
namespace {
constexpr int64_t kBudget = int64_t{64} << 20;

TEST_CASE("null device keeps the contract") {
  NullDevice device(kBudget);
  contract::check_device_contract(device, "null", kBudget);
  CHECK(device.counts().allocations > 0);
  CHECK(device.counts().refused == 3);
}

TEST_CASE("cpu device keeps the contract") {
  const auto provider = cpu::make_cpu_provider();
  auto device = provider->open("cpu", {.threads = 2, .memory_bytes = kBudget});
  REQUIRE(device.ok());
  contract::check_device_contract(**device, "cpu", kBudget);
}

TEST_CASE("a buffer may outlive its cpu device") {
  const auto provider = cpu::make_cpu_provider();
  auto device = provider->open("cpu", {.threads = 1, .memory_bytes = kBudget});
  REQUIRE(device.ok());
  auto buffer = (*device)->allocate(100, Purpose::weights, "late");
  REQUIRE(buffer.ok());
  device = Status(Code::cancelled, "closed");
  static_cast<char*>((*buffer)->data())[99] = 1;
  buffer = Status(Code::cancelled, "closed");
}

TEST_CASE("cpu provider refuses in one sentence") {
  const auto provider = cpu::make_cpu_provider();
  CHECK(provider->open("cpu:1", {}).status().message() ==
        "device 'cpu:1': the widest instruction set is '1', expected one of baseline, sse4, avx2, avx512");
  CHECK(provider->open("cpu", {.threads = -1}).status().message() ==
        "cpu: threads is -1, expected 0 (all cores) to 1024");
  CHECK(provider->open("cpu", {.memory_bytes = -5}).status().code() == Code::invalid);
}

TEST_CASE("cpu provider finds one device with the memory and cores of this process") {
  const auto found = cpu::make_cpu_provider()->found();
  REQUIRE(found.devices.size() == 1);
  CHECK(found.devices[0].id == "cpu");
  CHECK(found.devices[0].memory_bytes > (int64_t{64} << 20));
  auto device = cpu::make_cpu_provider()->open("cpu", {});
  REQUIRE(device.ok());
  CHECK((*device)->info().units == found.devices[0].units);
  const auto* ledger = static_cast<Ledger*>((*device)->query(Ledger::kInterface));
  REQUIRE(ledger != nullptr);
  CHECK(ledger->budget() == found.devices[0].memory_bytes / 10 * 9);
}

}  // namespace
}  // namespace tare
