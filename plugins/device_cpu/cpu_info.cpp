#include "plugins/device_cpu/cpu_info.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string_view>

namespace tare::cpu {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// The folders of this process's control group for `controller` ("cpu", "memory"), innermost first: version 2's unified
// tree, and version 1's own tree of that controller.
std::vector<std::string> control_group_folders(const std::string& root, std::string_view controller) {
  std::vector<std::string> out;
  std::ifstream in(root + "proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {  // "0::/a/b" or "4:cpu,cpuacct:/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = names == ",,";
    if (!unified && names.find("," + std::string(controller) + ",") == std::string::npos) continue;
    const std::string top = root + "sys/fs/cgroup" + (unified ? "" : "/" + std::string(controller));
    std::string path = line.substr(second + 1);
    while (!path.empty()) {
      if (path != "/") out.push_back(top + path);
      path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
    }
    out.push_back(top);
  }
  return out;
}

double quota_cores(const std::string& folder) {
  std::string quota, period;
  if (std::istringstream both(first_line(folder + "/cpu.max")); both >> quota >> period) {
    if (quota == "max") return 0;
  } else {
    quota = first_line(folder + "/cpu.cfs_quota_us"), period = first_line(folder + "/cpu.cfs_period_us");
  }
  const double q = std::strtod(quota.c_str(), nullptr), p = std::strtod(period.c_str(), nullptr);
  return q > 0 && p > 0 ? q / p : 0;
}

}  // namespace

int32_t cores_allowed(const std::string& root) {
  int32_t cores = 1;
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    cores = CPU_COUNT(&set);
  else  // more CPUs than the mask holds
    cores = static_cast<int32_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  for (const std::string& folder : control_group_folders(root, "cpu"))
    if (const double quota = quota_cores(folder); quota > 0 && quota < cores) cores = static_cast<int32_t>(quota);
  return std::max(cores, 1);
}

int64_t memory_allowed(const std::string& root) {
  int64_t bytes = std::numeric_limits<int64_t>::max();
  std::ifstream in(root + "proc/meminfo");
  for (std::string key; in >> key;) {
    if (key != "MemTotal:") continue;
    int64_t kib = 0;
    if (in >> kib) bytes = kib * 1024;
    break;
  }
  for (const std::string& folder : control_group_folders(root, "memory"))
    for (const char* file : {"/memory.max", "/memory.limit_in_bytes"}) {
      const int64_t limit = std::strtoll(first_line(folder + file).c_str(), nullptr, 10);  // "max" reads as 0
      if (limit > 0) bytes = std::min(bytes, limit);
    }
  return bytes;
}

CpuInfo read_cpu_info() {
  CpuInfo info;
#if defined(__x86_64__)
  info.architecture = "x86-64";
#elif defined(__aarch64__)
  info.architecture = "aarch64";
#else
  info.architecture = "unknown";
#endif
  info.features = cpu_features();
  info.cores = cores_allowed();
  info.memory_bytes = memory_allowed();
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line) && info.model_name.empty();)
    if (line.starts_with("model name")) info.model_name = line.substr(std::min(line.find(':') + 2, line.size()));
  if (info.model_name.empty()) info.model_name = info.architecture + " CPU";
  return info;
}

Result<std::vector<std::string>> features_up_to(const std::vector<std::string>& features, std::string_view widest) {
  struct Level {
    std::string_view name, needs;
    std::vector<std::string_view> adds;  // beginnings of names
  };
  const Level levels[] = {{"baseline", "", {}},
                          {"sse4", "sse4_2", {"ssse3", "sse4_"}},
                          {"avx2", "avx2", {"avx", "fma", "f16c", "avx2", "avx_vnni", "bmi2"}},
                          {"avx512", "avx512f", {"avx512"}}};
  std::vector<std::string> out;
  std::string names;
  for (const Level& level : levels) {
    names += text(names.empty() ? "" : ", ", level.name);
    for (const std::string& f : features)
      for (const std::string_view begin : level.adds)
        if (f == begin || (f.starts_with(begin) && (begin.ends_with('_') || begin == "avx512"))) out.push_back(f);
    if (level.name != widest) continue;
    if (!level.needs.empty() && std::ranges::find(out, level.needs) == out.end())
      return failure(Code::not_found, "this CPU has no ", level.needs, ", which ", widest, " asks for");
    std::ranges::sort(out);
    return out;
  }
  return failure(Code::not_found, "the widest instruction set is '", widest, "', expected one of ", names);
}

std::string sku_slug(const CpuInfo& info) {
  std::string out;
  for (const char c : info.model_name) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0)
      out += static_cast<char>(std::tolower(u));
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  if (!out.empty() && out.back() != '-') out += '-';
  for (const char* set : {"amx_bf16", "avx512_bf16", "avx512f", "avx2", "sse4_2"})
    if (std::binary_search(info.features.begin(), info.features.end(), set)) {
      for (const char* c = set; *c != 0; ++c) out += *c == '_' ? '-' : *c;
      out += '-';
      break;
    }
  return out + std::to_string(info.cores) + "c";
}

}  // namespace tare::cpu
