// Sets of entries: which wins, what differs, what is out of date.
#include <doctest/doctest.h>

#include "autotune/store/lookup.hpp"
#include "autotune/store/merge.hpp"

using namespace tare;

namespace {
TuningEntry entry(int64_t rows, double us, const std::string& date, const std::string& kernel = "k",
                  const std::string& sku = "here") {
  TuningEntry e;
  e.key = {sku, "linear/1 n=64 k=32 bf16", "w12/cpu-tiles", "order.a", rows};
  e.value.kernel = kernel, e.value.config = "{}", e.value.us = us, e.value.exact = true, e.value.hash = "h1";
  e.value.date = date;
  return e;
}
}  // namespace

TEST_CASE("newest, fastest or given wins; what is not exact never does") {
  const auto old_fast = entry(1, 10, "2026-01-01"), new_slow = entry(1, 20, "2026-02-01");
  const std::vector<std::vector<TuningEntry>> sets{{old_fast, entry(2, 1, "2026-01-01")}, {new_slow}};
  const auto newest = merge(sets, MergeRule::newest);
  REQUIRE(newest.size() == 2);
  CHECK(newest[0] == new_slow);
  CHECK(newest[1].key.rows == 2);
  CHECK(merge(sets, MergeRule::fastest)[0] == old_fast);
  CHECK(merge(sets, MergeRule::given)[0] == new_slow);
  CHECK(wins(entry(1, 9, "2026-01-01"), old_fast, MergeRule::newest));  // one day: the faster
  CHECK_FALSE(wins(old_fast, old_fast, MergeRule::newest));             // a draw stays with what was there
  auto wrong = entry(1, 1, "2027-01-01");
  wrong.value.exact = false;
  for (const MergeRule rule : {MergeRule::newest, MergeRule::fastest, MergeRule::given}) {
    CHECK_FALSE(wins(wrong, old_fast, rule));
    CHECK(wins(old_fast, wrong, rule));
  }
}

TEST_CASE("a difference names what is missing, other choices and other times, and lets noise pass") {
  auto noise = entry(2, 100.5, "2026-02-01");
  auto other = entry(4, 100, "2026-01-01", "k2"), slower = entry(8, 120, "2026-01-01");
  auto rebuilt = entry(16, 100, "2026-01-01");
  rebuilt.value.hash = "h2";
  const std::vector<TuningEntry> a{entry(1, 1, "2026-01-01"), entry(2, 100, "2026-01-01"), entry(4, 100, "2026-01-01"),
                                   entry(8, 100, "2026-01-01"), entry(16, 100, "2026-01-01")};
  const std::vector<TuningEntry> b{noise, other, slower, rebuilt, entry(32, 1, "2026-01-01")};
  const TuningDifference d = difference(a, b);
  REQUIRE(d.only_a.size() == 1);
  CHECK(d.only_a[0].key.rows == 1);
  REQUIRE(d.only_b.size() == 1);
  CHECK(d.only_b[0].key.rows == 32);
  CHECK(d.equal == 1);
  REQUIRE(d.changed.size() == 3);
  CHECK(d.changed[0].choice);
  CHECK(d.changed[1].time);
  CHECK_FALSE(d.changed[1].choice);
  CHECK_FALSE(d.changed[2].choice);
  CHECK_FALSE(d.changed[2].time);
}

TEST_CASE("pruning has a reason for each entry that goes") {
  const std::vector<TuningEntry> all{entry(1, 1, "2026-01-01"), entry(2, 1, "2026-02-01", "gone"),
                                     entry(4, 1, "2026-02-01"), entry(8, 1, "2026-02-01", "k", "there"),
                                     entry(16, 1, "2026-02-01", "unknown")};
  const auto now = [](const std::string& kernel) -> std::optional<std::string> {
    if (kernel == "gone") return std::nullopt;
    return kernel == "k" ? "h2" : "";
  };
  CHECK(to_prune(all, {.hash_now = {}, .only_sku = {}, .before = ""}).empty());
  const auto stale = to_prune(all, {.hash_now = now, .only_sku = {}, .before = ""});
  REQUIRE(stale.size() == 4);
  CHECK(stale[1].reason == "the kernel gone is gone");
  CHECK(stale[0].reason == "measured with another build of k");
  const auto old = to_prune(all, {.hash_now = {}, .only_sku = {}, .before = "2026-01-15"});
  REQUIRE(old.size() == 1);
  CHECK(old[0].reason == "from 2026-01-01");
  const auto others = to_prune(all, {.hash_now = {}, .only_sku = "here", .before = ""});
  REQUIRE(others.size() == 1);
  CHECK(others[0].key.sku == "there");
}

TEST_CASE("dates") {
  CHECK(days_before("2026-03-01", 1) == "2026-02-28");
  CHECK(days_before("2026-01-31", 365) == "2025-01-31");
  CHECK_FALSE(days_before("yesterday", 1).has_value());
  CHECK_FALSE(days_before("2026-01-31", -1).has_value());
  CHECK(is_date("2024-02-29"));
  for (const char* bad : {"", "2026-2-1", "2026-02-30", "2026-13-01", "2026/01/01", "2026-01-0x"})
    CHECK_FALSE(is_date(bad));
}

TEST_CASE("a kept order is found by the plain product's form, whatever is fused behind it") {
  Problem plain;
  plain.device_kind = "cpu";
  ProblemOp op;
  op.op = "linear/1";
  op.weights = {WeightInfo{"w", DType::bf16, {{64}, {32}}, 1}, std::nullopt};
  plain.ops = {op};
  Problem chain = plain;
  ProblemOp add;
  add.op = "add/1";
  chain.ops.push_back(add);
  DeviceInfo device;
  device.sku = "here", device.architecture = "a";
  const std::string printed = "linear/1 n=64 k=32 bf16";
  const std::vector<KeptNumerics> kept{{"here", printed + "; add/1", "of.chain"}, {"there", printed, "elsewhere"}};
  const TuningStore by_chain(device, {}, {}, kept);
  CHECK(by_chain.kept_numerics(plain) == "of.chain");
  CHECK(by_chain.kept_numerics(chain) == "of.chain");
  auto both = kept;
  both.push_back({"here", printed, "of.product"});
  CHECK(TuningStore(device, {}, {}, both).kept_numerics(chain) == "of.product");
  // Nothing kept: what all entries of this SKU share; where they differ, nothing.
  SkuEntries source{"here", "a", 1, {entry(1, 1, "2026-01-01")}};
  source.entries[0].key.problem = printed;
  CHECK(TuningStore(device, std::span(&source, 1), {}).kept_numerics(plain) == "order.a");
  source.entries.push_back(source.entries[0]);
  source.entries[1].key.numerics = "order.b";
  CHECK(TuningStore(device, std::span(&source, 1), {}).kept_numerics(plain).empty());
}
