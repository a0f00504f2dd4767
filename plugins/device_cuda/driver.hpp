// The CUDA driver, opened at run time through a table of typed symbols. The types and prototypes that we use are
// declared here, so that this builds without a CUDA toolkit; a test compares them with the real header where that
// exists. Constant after open(): [any thread].
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/api/status.hpp"
#include "jit/cuda_launch.hpp"

namespace tare::cuda {

using CuResult = int;  // 0: success
using CuDevice = int;
using CuAddress = uint64_t;
using CuMemoryHandle = uint64_t;
using CuContext = struct CuContextOpaque*;
using CuModule = struct CuModuleOpaque*;
using CuFunction = struct CuFunctionOpaque*;
using CuStream = struct CuStreamOpaque*;
using CuEvent = struct CuEventOpaque*;
using CuGraph = struct CuGraphOpaque*;
using CuGraphExec = struct CuGraphExecOpaque*;

struct CuLaunchAttribute {
  int id;
  char pad[4];
  union {
    char bytes[64];
    struct {
      uint32_t x, y, z;
    } cluster;
    int serialization_allowed;
  } value;
};
static_assert(sizeof(CuLaunchAttribute) == 72, "the driver's launch attribute has 72 bytes");
inline constexpr int kAttributeCluster = 4, kAttributeDependentLaunch = 6;

// CUmemAllocationProp and CUmemAccessDesc: physical memory of one device, readable and writable by it.
struct CuMemoryProperties {
  int type = 1;  // pinned
  int handle_types = 0;
  int location_type = 1;  // a device
  int location = 0;
  void* windows = nullptr;
  unsigned char flags[8] = {};
};
static_assert(sizeof(CuMemoryProperties) == 32, "CUmemAllocationProp has 32 bytes");
struct CuMemoryAccess {
  int location_type = 1;
  int location = 0;
  int flags = 3;  // read and write
};
static_assert(sizeof(CuMemoryAccess) == 12, "CUmemAccessDesc has 12 bytes");

struct CuLaunchConfig {
  uint32_t grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
  CuStream stream;
  CuLaunchAttribute* attributes;
  uint32_t num_attributes;
};

inline constexpr int kDeviceMultiprocessors = 16, kDeviceL2Bytes = 38, kDeviceMajor = 75, kDeviceMinor = 76,
                     kDeviceSharedOptin = 97, kDeviceVirtualMemory = 102;
inline constexpr int kFunctionMaxDynamicShared = 8;
inline constexpr uint32_t kStreamNonBlocking = 1;
inline constexpr int kCaptureThreadLocal = 1;
inline constexpr int kTensorUint64 = 4, kTensorBf16 = 9, kSwizzleNone = 0, kSwizzle128 = 3, kPromotion256 = 3;

// X(return, name, parameters): every symbol that must be there. Names are the versioned ones that the header's macros
// stand for.
#define TARE_CUDA_SYMBOLS(X)                                                                               \
  X(cuInit, (uint32_t))                                                                                    \
  X(cuDriverGetVersion, (int*))                                                                            \
  X(cuGetErrorName, (CuResult, const char**))                                                              \
  X(cuGetErrorString, (CuResult, const char**))                                                            \
  X(cuDeviceGetCount, (int*))                                                                              \
  X(cuDeviceGet, (CuDevice*, int))                                                                         \
  X(cuDeviceGetName, (char*, int, CuDevice))                                                               \
  X(cuDeviceGetAttribute, (int*, int, CuDevice))                                                           \
  X(cuDeviceGetPCIBusId, (char*, int, CuDevice))                                                           \
  X(cuDeviceTotalMem_v2, (size_t*, CuDevice))                                                              \
  X(cuDevicePrimaryCtxRetain, (CuContext*, CuDevice))                                                      \
  X(cuDevicePrimaryCtxRelease_v2, (CuDevice))                                                              \
  X(cuCtxSetCurrent, (CuContext))                                                                          \
  X(cuCtxSynchronize, ())                                                                                  \
  X(cuMemGetInfo_v2, (size_t*, size_t*))                                                                   \
  X(cuMemAlloc_v2, (CuAddress*, size_t))                                                                   \
  X(cuMemFree_v2, (CuAddress))                                                                             \
  X(cuMemGetAllocationGranularity, (size_t*, const CuMemoryProperties*, int))                              \
  X(cuMemAddressReserve, (CuAddress*, size_t, size_t, CuAddress, uint64_t))                                \
  X(cuMemAddressFree, (CuAddress, size_t))                                                                 \
  X(cuMemCreate, (CuMemoryHandle*, size_t, const CuMemoryProperties*, uint64_t))                           \
  X(cuMemRelease, (CuMemoryHandle))                                                                        \
  X(cuMemMap, (CuAddress, size_t, size_t, CuMemoryHandle, uint64_t))                                       \
  X(cuMemUnmap, (CuAddress, size_t))                                                                       \
  X(cuMemSetAccess, (CuAddress, size_t, const CuMemoryAccess*, size_t))                                    \
  X(cuMemHostAlloc, (void**, size_t, uint32_t))                                                            \
  X(cuMemFreeHost, (void*))                                                                                \
  X(cuMemHostRegister_v2, (void*, size_t, uint32_t))                                                       \
  X(cuMemHostUnregister, (void*))                                                                          \
  X(cuMemcpyHtoDAsync_v2, (CuAddress, const void*, size_t, CuStream))                                      \
  X(cuMemcpyDtoHAsync_v2, (void*, CuAddress, size_t, CuStream))                                            \
  X(cuMemsetD8Async, (CuAddress, unsigned char, size_t, CuStream))                                         \
  X(cuStreamCreate, (CuStream*, uint32_t))                                                                 \
  X(cuStreamDestroy_v2, (CuStream))                                                                        \
  X(cuStreamSynchronize, (CuStream))                                                                       \
  X(cuStreamBeginCapture_v2, (CuStream, int))                                                              \
  X(cuStreamEndCapture, (CuStream, CuGraph*))                                                              \
  X(cuEventCreate, (CuEvent*, uint32_t))                                                                   \
  X(cuEventDestroy_v2, (CuEvent))                                                                          \
  X(cuEventRecord, (CuEvent, CuStream))                                                                    \
  X(cuEventSynchronize, (CuEvent))                                                                         \
  X(cuEventElapsedTime, (float*, CuEvent, CuEvent))                                                        \
  X(cuModuleLoadData, (CuModule*, const void*))                                                            \
  X(cuModuleUnload, (CuModule))                                                                            \
  X(cuModuleGetFunction, (CuFunction*, CuModule, const char*))                                             \
  X(cuFuncSetAttribute, (CuFunction, int, int))                                                            \
  X(cuLaunchKernelEx, (const CuLaunchConfig*, CuFunction, void**, void**))                                 \
  X(cuOccupancyMaxActiveClusters, (int*, CuFunction, const CuLaunchConfig*))                               \
  X(cuGraphInstantiateWithFlags, (CuGraphExec*, CuGraph, uint64_t))                                        \
  X(cuGraphUpload, (CuGraphExec, CuStream))                                                                \
  X(cuGraphLaunch, (CuGraphExec, CuStream))                                                                \
  X(cuGraphExecDestroy, (CuGraphExec))                                                                     \
  X(cuGraphDestroy, (CuGraph))                                                                             \
  X(cuTensorMapEncodeTiled, (jit::TensorMapBytes*, int, uint32_t, void*, const uint64_t*, const uint64_t*, \
                             const uint32_t*, const uint32_t*, int, int, int, int))

// The oldest driver that runs machine code made by the CUDA 13.0 compiler.
inline constexpr int kOldestDriver = 13000;

class Driver {
 public:
#define TARE_DECLARE(name, parameters) CuResult(*name) parameters = nullptr;
  TARE_CUDA_SYMBOLS(TARE_DECLARE)
#undef TARE_DECLARE

  // Opens libcuda.so.1 and initialises it. not_found: no driver here; unsupported: too old or lacking a symbol. The
  // message says what to do. library: a path to open instead, for tests.
  static Result<std::shared_ptr<const Driver>> open(const std::string& library = {});

  int version() const noexcept { return version_; }
  // "580-ish": CUDA version as people write it.
  std::string version_text() const;
  // ok, or the failing call, the driver's words and what was being done.
  Status check(CuResult result, const char* call, std::string_view doing = {}) const;

 private:
  int version_ = 0;
};

}  // namespace tare::cuda
