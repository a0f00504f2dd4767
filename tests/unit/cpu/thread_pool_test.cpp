#include "plugins/device_cpu/thread_pool.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <chrono>
#include <mutex>
#include <set>
#include <thread>
#include <tuple>

namespace tare::cpu {
namespace {

std::set<std::tuple<int64_t, int64_t, int32_t>> pieces(ThreadPool& pool, int64_t count, int64_t grain) {
  std::set<std::tuple<int64_t, int64_t, int32_t>> out;
  std::mutex mutex;
  pool.run(count, grain, [&](int64_t begin, int64_t end, int32_t worker) {
    const std::lock_guard lock(mutex);
    out.insert({begin, end, worker});
  });
  return out;
}

TEST_CASE("pieces cover the range once, hold the grain and do not depend on timing") {
  for (const int32_t threads : {1, 2, 3, 7}) {
    auto pool = ThreadPool::create(threads);
    REQUIRE(pool.ok());
    CHECK((*pool)->threads() == threads);
    for (const int64_t count : {1, 2, 3, 8, 63, 64, 1000})
      for (const int64_t grain : {1, 2, 16, 5000}) {
        const auto cut = pieces(**pool, count, grain);
        int64_t at = 0;
        for (const auto& [begin, end, worker] : cut) {
          CHECK(begin == at);
          if (cut.size() > 1) CHECK(end - begin >= grain);
          CHECK(worker < threads);
          at = end;
        }
        CHECK(at == count);
        CHECK(pieces(**pool, count, grain) == cut);
      }
  }
}

TEST_CASE("nothing runs for an empty range") {
  auto pool = ThreadPool::create(2);
  REQUIRE(pool.ok());
  CHECK(pieces(**pool, 0, 1).empty());
  CHECK(pieces(**pool, -3, 1).empty());
}

TEST_CASE("many short runs lose no piece") {
  auto pool = ThreadPool::create(4);
  REQUIRE(pool.ok());
  std::vector<int64_t> hits(97, 0);
  for (int round = 0; round < 3000; ++round)
    (*pool)->run(97, 1, [&](int64_t begin, int64_t end, int32_t) {
      for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
    });
  for (const int64_t h : hits) CHECK(h == 3000);
}

TEST_CASE("runs after a rest wake the workers") {
  auto pool = ThreadPool::create(3);
  REQUIRE(pool.ok());
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    CHECK(pieces(**pool, 3, 1).size() == 3);
  }
}

TEST_CASE("several threads may ask for runs at once") {
  auto pool = ThreadPool::create(3);
  REQUIRE(pool.ok());
  std::vector<std::thread> callers;
  std::vector<int64_t> sums(4, 0);
  for (size_t c = 0; c < sums.size(); ++c)
    callers.emplace_back([&, c] {
      for (int round = 0; round < 200; ++round) {
        std::vector<int64_t> parts(3, 0);
        (*pool)->run(30, 1, [&](int64_t begin, int64_t end, int32_t worker) {
          for (int64_t i = begin; i < end; ++i) parts[static_cast<size_t>(worker)] += i;
        });
        sums[c] += parts[0] + parts[1] + parts[2];
      }
    });
  for (auto& caller : callers) caller.join();
  for (const int64_t sum : sums) CHECK(sum == 200 * 435);
}

TEST_CASE("an idle pool uses no core") {
  auto pool = ThreadPool::create(4);
  REQUIRE(pool.ok());
  CHECK(pieces(**pool, 4, 1).size() == 4);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto used = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  const double before = used();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  CHECK(used() - before < 0.005);  // under 1 % of a core
}

}  // namespace
}  // namespace tare::cpu
