// cuda_launch/1: what a CUDA device can do beyond Device: load compiled kernels, launch them, encode tensor maps;
// what it records (work_recorder/1) is a CUDA graph. Asked for with Device::query; names no CUDA type. Thread rule:
// [any thread], a stream by one thread at a time.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/api/device.hpp"
#include "jit/jit.hpp"

namespace tare::jit {

// A tensor map as the kernels take it, by value (jit/cuh/copy.cuh).
struct alignas(64) TensorMapBytes {
  uint64_t opaque[16] = {};
};

enum class TensorElement : uint8_t { bf16, bits64 };

// A box of a row-major tensor of up to 4 dimensions, innermost first. Coordinates past the end read as zero and are not
// written.
struct TensorMapRequest {
  const void* address = nullptr;  // 16-byte aligned
  TensorElement element = TensorElement::bf16;
  int32_t dimensions = 2;
  uint64_t sizes[4] = {1, 1, 1, 1};    // elements
  uint64_t strides[4] = {0, 0, 0, 0};  // bytes; [0] is the element itself and ignored; multiples of 16
  uint32_t box[4] = {1, 1, 1, 1};      // elements, at most 256 each
  bool swizzle_128 = true;             // the innermost box is then at most 128 bytes
};

// A kernel in a loaded module; the module is unloaded with its last kernel.
class CudaKernel {
 public:
  virtual ~CudaKernel() = default;
};

struct LaunchShape {
  uint32_t grid_x = 1, grid_y = 1, grid_z = 1;
  uint32_t threads = 32;
  uint32_t shared_bytes = 0;
  uint32_t cluster = 1;
  // May start before the kernel ahead of it has finished (programmatic dependent launch): only for kernels that call
  // wait_for_inputs() in every block (jit/cuh/launch.cuh). GPUs that cannot do that start it afterwards.
  bool dependent = false;
};

class CudaLaunch : public WorkRecorder {
 public:
  static constexpr std::string_view kInterface = "cuda_launch/1";
  // What to compile for: "sm_90a".
  virtual std::string_view architecture() const noexcept = 0;
  virtual int32_t multiprocessors() const noexcept = 0;
  virtual int32_t shared_bytes_limit() const noexcept = 0;  // of one block
  virtual int32_t driver_version() const noexcept = 0;      // 13000: CUDA 13.0

  // shared_bytes: the most dynamic shared memory that launches will ask for.
  virtual Result<std::shared_ptr<CudaKernel>> load(const CompiledKernel& kernel, uint32_t shared_bytes) = 0;
  // arguments[i] points to the i-th kernel parameter. Recorded instead when the stream is recording. [graph-capturable]
  virtual Status launch(Stream& stream, CudaKernel& kernel, const LaunchShape& shape, void** arguments) = 0;
  // Clusters of that shape that the whole device holds at once; 0 when one does not fit.
  virtual Result<int32_t> resident_clusters(CudaKernel& kernel, const LaunchShape& shape) = 0;
  virtual Result<TensorMapBytes> tensor_map(const TensorMapRequest& request) = 0;

  // Pinned host memory: copies from and to it are asynchronous.
  virtual Result<std::unique_ptr<Buffer>> allocate_pinned(size_t bytes) = 0;
  // Milliseconds between two events recorded on one stream, both waited for.
  virtual Result<float> elapsed_ms(Event& first, Event& second) = 0;
  // The driver's own handle of a stream, for vendor libraries.
  virtual void* native(Stream& stream) noexcept = 0;
};

}  // namespace tare::jit
