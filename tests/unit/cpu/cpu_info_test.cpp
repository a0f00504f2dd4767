#include "plugins/device_cpu/cpu_info.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "plugins/device_cpu/cpu_device.hpp"

namespace tare::cpu {
namespace {

// A tree of files that stands in for "/".
class FakeRoot {
 public:
  FakeRoot() : path_(std::filesystem::temp_directory_path() / ("tare_cpu_info_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
  }
  ~FakeRoot() { std::filesystem::remove_all(path_); }
  FakeRoot& file(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name) << content;
    return *this;
  }
  std::string root() const { return path_.string() + "/"; }

 private:
  std::filesystem::path path_;
};

TEST_CASE("a CPU quota lowers the number of cores, the innermost or any outer group's") {
  const int32_t all = cores_allowed("/nowhere/");
  CHECK(all >= 1);
  FakeRoot v2;
  v2.file("proc/self/cgroup", "0::/outer/inner\n").file("sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  CHECK(cores_allowed(v2.root()) == all);
  v2.file("sys/fs/cgroup/outer/cpu.max", "150000 100000\n");
  CHECK(cores_allowed(v2.root()) == 1);  // 1.5 cores
  v2.file("sys/fs/cgroup/outer/cpu.max", "10000 100000\n");
  CHECK(cores_allowed(v2.root()) == 1);  // a tenth of one
  v2.file("sys/fs/cgroup/outer/cpu.max", "6400000 100000\n");
  CHECK(cores_allowed(v2.root()) == std::min(all, 64));
  v2.file("sys/fs/cgroup/outer/cpu.max", "nonsense\n");
  CHECK(cores_allowed(v2.root()) == all);
}

TEST_CASE("control groups of version 1 count too") {
  const int32_t all = cores_allowed("/nowhere/");
  FakeRoot v1;
  v1.file("proc/self/cgroup", "4:cpu,cpuacct:/box\n2:memory:/box\n0::/\n")
      .file("proc/meminfo", "MemTotal:       1000 kB\nMemFree:  10 kB\n")
      .file("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "100000\n")
      .file("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n")
      .file("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "400000\n");
  CHECK(cores_allowed(v1.root()) == 1);
  CHECK(memory_allowed(v1.root()) == 400000);
  v1.file("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n");
  CHECK(cores_allowed(v1.root()) == all);
}

TEST_CASE("a memory limit lowers the memory") {
  FakeRoot v2;
  v2.file("proc/self/cgroup", "0::/a\n").file("proc/meminfo", "MemTotal:       1000 kB\n");
  CHECK(memory_allowed(v2.root()) == 1024000);
  v2.file("sys/fs/cgroup/a/memory.max", "max\n");
  CHECK(memory_allowed(v2.root()) == 1024000);
  v2.file("sys/fs/cgroup/a/memory.max", "5000\n");
  CHECK(memory_allowed(v2.root()) == 5000);
}

TEST_CASE("slugs are lower case with dashes and end in the cores") {
  CpuInfo info;
  info.model_name = "Intel(R) Xeon(R) Processor";
  info.features = {"amx_bf16", "avx2", "avx512f"};
  info.cores = 2;
  CHECK(sku_slug(info) == "intel-r-xeon-r-processor-amx-bf16-2c");
  info.model_name = "AMD EPYC 7B13 64-Core Processor";
  info.features = {"avx2"};
  info.cores = 8;
  CHECK(sku_slug(info) == "amd-epyc-7b13-64-core-processor-avx2-8c");
}

TEST_CASE("a CPU can be taken for one with fewer instruction sets") {
  const std::vector<std::string> all{"amx_bf16", "amx_tile", "avx",  "avx2", "avx512_bf16", "avx512bw", "avx512f",
                                     "avx_vnni", "bmi2",     "f16c", "fma",  "sse4_1",      "sse4_2",   "ssse3"};
  CHECK(features_up_to(all, "baseline")->empty());
  CHECK((*features_up_to(all, "sse4") == std::vector<std::string>{"sse4_1", "sse4_2", "ssse3"}));
  CHECK((*features_up_to(all, "avx2") ==
         std::vector<std::string>{"avx", "avx2", "avx_vnni", "bmi2", "f16c", "fma", "sse4_1", "sse4_2", "ssse3"}));
  const auto wide = features_up_to(all, "avx512");
  CHECK(wide->size() == all.size() - 2);
  CHECK(std::ranges::find(*wide, "avx512_bf16") != wide->end());
  CHECK(features_up_to(*features_up_to(all, "avx2"), "avx512").status().message() ==
        "this CPU has no avx512f, which avx512 asks for");
  CHECK(features_up_to(all, "avx3").status().message() ==
        "the widest instruction set is 'avx3', expected one of baseline, sse4, avx2, avx512");
}

TEST_CASE("a device of fewer instruction sets is another SKU") {
  const auto provider = make_cpu_provider();
  if (auto narrow = provider->open("cpu:baseline", {.threads = 1}); narrow.ok()) {
    const DeviceInfo& info = (*narrow)->info();
    CHECK(info.id == "cpu:baseline");
    CHECK(info.kind == "cpu");
    CHECK(info.features.empty());
    CHECK(info.sku != provider->found().devices.at(0).sku);
  } else {
    FAIL(narrow.status().message());
  }
  CHECK(provider->open("cpu:", {.threads = 1}).status().message() ==
        "device 'cpu:' does not exist, the one here is 'cpu'");
  CHECK(provider->open("cpu:mmx", {.threads = 1}).status().message().find("expected one of baseline") !=
        std::string::npos);
}

TEST_CASE("this CPU is described by what the kernel lists too") {
  const CpuInfo info = read_cpu_info();
  CHECK_FALSE(info.model_name.empty());
  CHECK(info.cores <= static_cast<int32_t>(std::max(1u, std::thread::hardware_concurrency())));
  CHECK(std::is_sorted(info.features.begin(), info.features.end()));
  std::ifstream in("/proc/cpuinfo");
  std::string flags;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("flags")) {
      flags = line + " ";
      break;
    }
  for (const std::string& feature : info.features) {
    if (flags.empty()) break;
    CAPTURE(feature);
    CHECK(flags.find(" " + feature + " ") != std::string::npos);
  }
}

}  // namespace
}  // namespace tare::cpu
