// Who else uses a device: marks of servers, and the kernel's figures of the cores' time.
#include "core/app/device_use.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

namespace tare {
namespace {

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / text("tare-use-", ::getpid())) {
    std::filesystem::remove_all(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::string database() const { return (path / "state" / "tuning.db").string(); }
  std::filesystem::path path;
};

TEST_CASE("a mark is seen while somebody holds it, and ends with its process") {
  const Folder folder;
  CHECK(ServingMark::holder(folder.database(), "acme") == "");
  {
    const auto one = ServingMark::hold(folder.database(), "acme");
    REQUIRE(one != nullptr);
    const auto two = ServingMark::hold(folder.database(), "acme");  // servers do not shut each other out
    CHECK(two != nullptr);
    CHECK(ServingMark::holder(folder.database(), "acme") == std::to_string(::getpid()));
    CHECK(ServingMark::holder(folder.database(), "other") == "");
    const DeviceInfo gpu{.id = "acme:0", .kind = "acme", .name = "", .architecture = "", .sku = "acme", .features = {}};
    CHECK(others_on(gpu, folder.database()) == text("a server (process ", ::getpid(), ") runs on it"));
  }
  CHECK(ServingMark::holder(folder.database(), "acme") == "");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    (void)ServingMark::hold(folder.database(), "acme").release();
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  CHECK(ServingMark::holder(folder.database(), "acme") == "");
}

TEST_CASE("no database and a place that takes no file: no mark, no failure") {
  CHECK(ServingMark::hold("", "acme") == nullptr);
  CHECK(ServingMark::hold("/proc/none/tuning.db", "acme") == nullptr);
  CHECK(ServingMark::holder("/proc/none/tuning.db", "acme") == "");
}

TEST_CASE("the cores' time is read as the kernel writes it") {
  const auto before = parse_cpu_times("cpu  100 10 50 800 40 0 0 0 7 7\ncpu0 1 1 1 1\n");
  REQUIRE(before.has_value());
  CHECK(before->busy == 160);
  CHECK(before->all == 1000);
  const auto after = parse_cpu_times("cpu  130 10 60 850 40 0 5 5 99 99\n");
  REQUIRE(after.has_value());
  CHECK(busy_share(*before, *after) == doctest::Approx(0.5));  // 50 of 100, stolen time with them
  CHECK(busy_share(*after, *before) == 0);
  CHECK(busy_share(*before, *before) == 0);
  for (const char* wrong : {"", "cpu", "cpu  1 2 3\n", "cpu0 1 2 3 4 5 6 7 8\n", "cpu  a b c d e f g h\n"})
    CHECK_FALSE(parse_cpu_times(wrong).has_value());
}

}  // namespace
}  // namespace tare
