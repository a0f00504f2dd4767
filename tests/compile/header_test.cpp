// Our declarations of the CUDA driver and of NVRTC against NVIDIA's headers: every call takes as many arguments of the
// same sizes, every constant has its value, every struct its size. A mistake does not compile.
#include <cuda.h>
#include <doctest/doctest.h>
#include <nvrtc.h>

#include <cstddef>
#include <type_traits>

#include "jit/compile/nvrtc.hpp"
#include "plugins/device_cuda/driver.hpp"

namespace {

using tare::cuda::Driver;

template <class Ours, class Theirs>
struct SameCall : std::false_type {};
template <class R, class... A, class S, class... B>
struct SameCall<R (*)(A...), S (*)(B...)> {
  static constexpr bool sizes() {
    if constexpr (sizeof...(A) != sizeof...(B)) {
      return false;
    } else {
      return ((sizeof(A) == sizeof(B)) && ... && true);
    }
  }
  static constexpr bool value = sizeof(R) == sizeof(S) && sizes();
};

#define TARE_SAME(name, parameters) \
  static_assert(SameCall<decltype(Driver::name), decltype(&::name)>::value, #name " is declared otherwise in cuda.h");
TARE_CUDA_SYMBOLS(TARE_SAME)
#undef TARE_SAME

using Nvrtc = tare::jit::NvrtcSymbols;
#define TARE_SAME(name) \
  static_assert(SameCall<decltype(Nvrtc::name), decltype(&::name)>::value, #name " is declared otherwise in nvrtc.h");
TARE_SAME(nvrtcGetErrorString)
TARE_SAME(nvrtcVersion)
TARE_SAME(nvrtcCreateProgram)
TARE_SAME(nvrtcDestroyProgram)
TARE_SAME(nvrtcCompileProgram)
TARE_SAME(nvrtcAddNameExpression)
TARE_SAME(nvrtcGetLoweredName)
TARE_SAME(nvrtcGetCUBINSize)
TARE_SAME(nvrtcGetCUBIN)
TARE_SAME(nvrtcGetPTXSize)
TARE_SAME(nvrtcGetPTX)
TARE_SAME(nvrtcGetProgramLogSize)
TARE_SAME(nvrtcGetProgramLog)
#undef TARE_SAME
static_assert(NVRTC_ERROR_COMPILATION == 6);

namespace ours = tare::cuda;
static_assert(sizeof(ours::CuLaunchAttribute) == sizeof(CUlaunchAttribute));
static_assert(sizeof(ours::CuLaunchConfig) == sizeof(CUlaunchConfig));
static_assert(offsetof(ours::CuLaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
static_assert(offsetof(ours::CuLaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
static_assert(sizeof(ours::CuMemoryProperties) == sizeof(CUmemAllocationProp));
static_assert(offsetof(ours::CuMemoryProperties, location_type) == offsetof(CUmemAllocationProp, location));
static_assert(offsetof(ours::CuMemoryProperties, flags) == offsetof(CUmemAllocationProp, allocFlags));
static_assert(sizeof(ours::CuMemoryAccess) == sizeof(CUmemAccessDesc));
static_assert(sizeof(tare::jit::TensorMapBytes) == sizeof(CUtensorMap));
static_assert(ours::kAttributeCluster == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
static_assert(ours::kAttributeDependentLaunch == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
static_assert(ours::kDeviceMultiprocessors == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
static_assert(ours::kDeviceL2Bytes == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
static_assert(ours::kDeviceMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(ours::kDeviceMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(ours::kDeviceSharedOptin == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(ours::kDeviceVirtualMemory == CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED);
static_assert(ours::kFunctionMaxDynamicShared == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(ours::kStreamNonBlocking == CU_STREAM_NON_BLOCKING);
static_assert(ours::kCaptureThreadLocal == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
static_assert(ours::kTensorUint64 == CU_TENSOR_MAP_DATA_TYPE_UINT64);
static_assert(ours::kTensorBf16 == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
static_assert(ours::kSwizzleNone == CU_TENSOR_MAP_SWIZZLE_NONE && ours::kSwizzle128 == CU_TENSOR_MAP_SWIZZLE_128B);
static_assert(ours::kPromotion256 == CU_TENSOR_MAP_L2_PROMOTION_L2_256B);

}  // namespace

TEST_CASE("memory is asked for as the driver's header spells it") {
  const ours::CuMemoryProperties properties;
  const ours::CuMemoryAccess access;
  CHECK(properties.type == CU_MEM_ALLOCATION_TYPE_PINNED);
  CHECK(properties.location_type == CU_MEM_LOCATION_TYPE_DEVICE);
  CHECK(access.location_type == CU_MEM_LOCATION_TYPE_DEVICE);
  CHECK(access.flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
  CHECK(CUDA_ERROR_OUT_OF_MEMORY == 2);  // what Driver::check gives advice for
  CHECK(CUDA_ERROR_NO_DEVICE == 100);
  CHECK(CUDA_ERROR_NO_BINARY_FOR_GPU == 209);
  CHECK(CUDA_ERROR_ILLEGAL_ADDRESS == 700);
  CHECK(CUDA_ERROR_LAUNCH_FAILED == 719);
}
