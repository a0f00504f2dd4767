// What every Device must do, whoever makes it. A device's own test calls check_device_contract with a fresh device
// whose budget is `budget_bytes` and nothing allocated.
#pragma once
#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "core/api/device.hpp"
#include "core/api/ledger.hpp"

namespace tare::contract {

inline void check_ledger(Device& device, int64_t budget_bytes) {
  auto* ledger = static_cast<Ledger*>(device.query(Ledger::kInterface));
  REQUIRE(ledger != nullptr);
  CHECK(ledger->budget() == budget_bytes);
  CHECK(ledger->in_use() == 0);
  {
    auto a = device.allocate(1000, Purpose::weights, "model/weights");
    auto b = device.allocate(24, Purpose::weights, "model/weights");
    auto c = device.allocate(500, Purpose::state, "model/state");
    REQUIRE(a.ok());
    REQUIRE(b.ok());
    REQUIRE(c.ok());
    CHECK((*a)->bytes() == 1000);
    CHECK(ledger->in_use() == 1524);
    const std::vector<Ledger::Line> want = {{Purpose::weights, "model/weights", 1024, 2},
                                            {Purpose::state, "model/state", 500, 1}};
    CHECK(ledger->lines() == want);
    b = Status(Code::cancelled, "given back");
    CHECK(ledger->in_use() == 1500);
  }
  CHECK(ledger->in_use() == 0);
  CHECK(ledger->lines().empty());
  CHECK(ledger->peak() == 1524);
}

inline void check_budget(Device& device, int64_t budget_bytes) {
  auto* ledger = static_cast<Ledger*>(device.query(Ledger::kInterface));
  REQUIRE(ledger != nullptr);
  const auto budget = static_cast<size_t>(budget_bytes);
  {  // all of it, and not a byte more
    auto all = device.allocate(budget, Purpose::state, "all");
    REQUIRE(all.ok());
    const auto one_more = device.allocate(1, Purpose::workspace, "greedy");
    REQUIRE_FALSE(one_more.ok());
    CHECK(one_more.status().code() == Code::exhausted);
    const std::string& said = one_more.status().message();
    CAPTURE(said);
    CHECK(said.find("'greedy'") != std::string::npos);
    CHECK(said.find("needs 1 bytes") != std::string::npos);
    CHECK(said.find("only 0 bytes") != std::string::npos);
    CHECK(said.find(std::to_string(budget_bytes)) != std::string::npos);
  }
  CHECK(ledger->in_use() == 0);
  const auto too_much = device.allocate(budget + 1, Purpose::weights, "model/weights");
  CHECK_FALSE(too_much.ok());
  const auto absurd = device.allocate(~size_t{0}, Purpose::weights, "model/weights");
  CHECK_FALSE(absurd.ok());
  CHECK(ledger->in_use() == 0);  // a refusal takes nothing
  CHECK(device.allocate(budget, Purpose::state, "again").ok());
  const auto none = device.allocate(0, Purpose::state, "none");
  REQUIRE(none.ok());
  CHECK((*none)->bytes() == 0);
}

inline void check_copies(Device& device) {
  auto stream = device.create_stream();
  REQUIRE(stream.ok());
  std::vector<unsigned char> out(5000), back(5000, 1);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<unsigned char>(i * 7 + i / 251);
  auto buffer = device.allocate(out.size(), Purpose::staging, "copies");
  REQUIRE(buffer.ok());
  void* const data = (*buffer)->data();
  CHECK(reinterpret_cast<uintptr_t>(data) % 64 == 0);
  REQUIRE(device.copy_in(**stream, data, out.data(), out.size()).ok());
  REQUIRE(device.copy_out(**stream, back.data(), data, back.size()).ok());
  REQUIRE((*stream)->synchronize().ok());
  CHECK(std::memcmp(out.data(), back.data(), out.size()) == 0);
  REQUIRE(device.fill(**stream, data, 0x5a, 100).ok());
  auto event = (*stream)->record();
  REQUIRE(event.ok());
  REQUIRE((*event)->wait().ok());
  REQUIRE(device.copy_out(**stream, back.data(), data, back.size()).ok());
  REQUIRE((*stream)->synchronize().ok());
  CHECK(back[99] == 0x5a);
  CHECK(back[100] == out[100]);
  CHECK(device.copy_in(**stream, data, nullptr, 0).ok());
  if (device.host_addressable()) {
    std::memset(data, 3, 10);
    CHECK(static_cast<unsigned char*>(data)[9] == 3);
  }
}

inline void check_large_buffer(Device& device, int64_t budget_bytes) {  // written and read at both ends
  auto stream = device.create_stream();
  REQUIRE(stream.ok());
  const auto bytes = static_cast<size_t>(budget_bytes / 2 + 12345);
  auto buffer = device.allocate(bytes, Purpose::weights, "large");
  REQUIRE(buffer.ok());
  auto* const data = static_cast<char*>((*buffer)->data());
  REQUIRE(device.fill(**stream, data, 9, bytes).ok());
  char ends[2] = {0, 0};
  REQUIRE(device.copy_out(**stream, &ends[0], data, 1).ok());
  REQUIRE(device.copy_out(**stream, &ends[1], data + bytes - 1, 1).ok());
  REQUIRE((*stream)->synchronize().ok());
  CHECK(ends[0] == 9);
  CHECK(ends[1] == 9);
}

inline void check_identity(Device& device, std::string_view kind) {
  CHECK(device.info().kind == kind);
  CHECK_FALSE(device.info().id.empty());
  CHECK_FALSE(device.info().name.empty());
  CHECK(device.info().sku.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos);
  CHECK(std::is_sorted(device.info().features.begin(), device.info().features.end()));
  CHECK(device.info().units >= 1);
  CHECK(device.query("no_such_thing/1") == nullptr);
}

inline void check_device_contract(Device& device, std::string_view kind, int64_t budget_bytes) {
  check_identity(device, kind);
  check_ledger(device, budget_bytes);
  check_budget(device, budget_bytes);
  check_copies(device);
  check_large_buffer(device, budget_bytes);
}

}  // namespace tare::contract
