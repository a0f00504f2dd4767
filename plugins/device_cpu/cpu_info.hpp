// What the CPU is and how much of it this process may use. Reading it changes nothing but one thing: asking the kernel
// for AMX tiles (a permission of the whole process). [any thread]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare::cpu {

struct CpuInfo {
  std::string model_name;             // "Intel(R) Xeon(R) Processor"
  std::string architecture;           // "x86-64"
  std::vector<std::string> features;  // sorted; only what both the CPU and the operating system support
  int32_t cores = 1;                  // that this process may use
  int64_t memory_bytes = 0;           // that this process may use
};
CpuInfo read_cpu_info();

// Cores by affinity mask and by CPU quota of the control groups (v1 or v2) that the process is in, at least 1. A quota
// of 2.5 cores counts as 2: a third thread would stall the other two. `root` is "/" but for tests.
int32_t cores_allowed(const std::string& root = "/");
// Physical memory, or the control groups' limit where that is lower.
int64_t memory_allowed(const std::string& root = "/");

// "Intel(R) Xeon(R) Processor", {"amx_bf16", ..}, 2 -> "intel-r-xeon-r-processor-amx-bf16-2c": lower case, "-" for
// other characters, the widest instruction set that matters here, cores.
std::string sku_slug(const CpuInfo& info);

// What of `features` a CPU would have whose widest set is this one: "baseline", "sse4", "avx2" or "avx512" (every
// AVX-512 set, no AMX). Refused: another name, or one that `features` does not reach.
Result<std::vector<std::string>> features_up_to(const std::vector<std::string>& features, std::string_view widest);

// The instruction sets by cpuid, xgetbv and (AMX) arch_prctl. Empty where the CPU is no x86-64.
std::vector<std::string> cpu_features();

}  // namespace tare::cpu
