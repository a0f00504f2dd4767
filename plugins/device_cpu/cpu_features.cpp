// cpuid says what the CPU can do, xgetbv what the operating system saves on a context switch; a feature needs both.
// Bits: Intel SDM volume 2, CPUID; AMX permission: Linux Documentation/arch/x86/xstate.rst.
#include <algorithm>
#include <string>
#include <vector>

#include "plugins/device_cpu/cpu_info.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tare::cpu {
#if defined(__x86_64__)
namespace {

struct Registers {
  uint32_t a = 0, b = 0, c = 0, d = 0;
};
Registers cpuid(uint32_t leaf, uint32_t subleaf) {
  Registers r;
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);  // leaves zeros when there is no such leaf
  return r;
}
uint64_t saved_state() {  // XCR0
  uint32_t low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}
constexpr bool bit(uint32_t word, int index) { return (word >> index & 1) != 0; }

// Tiles are off for a process until it asks for them.
bool amx_permitted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

std::vector<std::string> cpu_features() {
  const Registers one = cpuid(1, 0), seven = cpuid(7, 0), seven1 = cpuid(7, 1);
  const bool os_saves = bit(one.c, 27);  // OSXSAVE
  const uint64_t state = os_saves ? saved_state() : 0;
  const bool ymm = (state & 0x6) == 0x6, zmm = ymm && (state & 0xe0) == 0xe0;
  const bool tiles = (state & 0x60000) == 0x60000;

  std::vector<std::string> out;
  const auto add = [&](bool present, const char* feature) {
    if (present) out.push_back(feature);
  };
  add(bit(one.c, 9), "ssse3");
  add(bit(one.c, 19), "sse4_1");
  add(bit(one.c, 20), "sse4_2");
  add(ymm && bit(one.c, 28), "avx");
  add(ymm && bit(one.c, 12), "fma");
  add(ymm && bit(one.c, 29), "f16c");
  add(ymm && bit(seven.b, 5), "avx2");
  add(ymm && bit(seven1.a, 4), "avx_vnni");
  add(bit(seven.b, 8), "bmi2");
  add(zmm && bit(seven.b, 16), "avx512f");
  add(zmm && bit(seven.b, 17), "avx512dq");
  add(zmm && bit(seven.b, 30), "avx512bw");
  add(zmm && bit(seven.b, 31), "avx512vl");
  add(zmm && bit(seven.c, 1), "avx512vbmi");
  add(zmm && bit(seven.c, 6), "avx512_vbmi2");
  add(zmm && bit(seven.c, 11), "avx512_vnni");
  add(zmm && bit(seven.d, 23), "avx512_fp16");
  add(zmm && bit(seven1.a, 5), "avx512_bf16");
  if (tiles && bit(seven.d, 24) && amx_permitted()) {
    out.push_back("amx_tile");
    add(bit(seven.d, 22), "amx_bf16");
    add(bit(seven.d, 25), "amx_int8");
  }
  std::sort(out.begin(), out.end());
  return out;
}
#else
std::vector<std::string> cpu_features() { return {}; }
#endif

}  // namespace tare::cpu
