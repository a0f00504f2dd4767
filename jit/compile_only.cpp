#include "jit/compile_only.hpp"

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>

#include "jit/cuda_kernel.hpp"

namespace tare::jit {
namespace {

constexpr int32_t kDriver = 13000;

// Of one block, as the CUDA programming guide's table of compute capabilities has it: 227 KB on 9.0 and 10.0, 163 on
// 8.0 and 8.7, 99 on the others.
constexpr int32_t shared_limit(int capability) noexcept {
  return 1024 * (capability >= 90 && capability < 110 ? 227 : capability == 80 || capability == 87 ? 163 : 99);
}

class NoBuffer final : public Buffer {
 public:
  NoBuffer(uintptr_t address, size_t bytes) : address_(address), bytes_(bytes) {}
  void* data() const noexcept override { return reinterpret_cast<void*>(address_); }
  size_t bytes() const noexcept override { return bytes_; }

 private:
  const uintptr_t address_;
  const size_t bytes_;
};
class NoEvent final : public Event {
 public:
  Status wait() override { return {}; }
};
class NoStream final : public Stream {
 public:
  Status synchronize() override { return {}; }
  Result<std::unique_ptr<Event>> record() override { return std::unique_ptr<Event>(std::make_unique<NoEvent>()); }
};
class NoWork final : public RecordedWork {
 public:
  Status launch(Stream&) override { return {}; }
};
class NoKernel final : public CudaKernel {};

class Described final : public CompileOnlyDevice, public CudaLaunch {
 public:
  explicit Described(DeviceInfo info) : info_(std::move(info)), architecture_(architecture_of(info_.features)) {}

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<std::unique_ptr<Buffer>> allocate(size_t bytes, Purpose, std::string_view) override {
    const uintptr_t room = (bytes + kPage - 1) / kPage * kPage;
    return std::unique_ptr<Buffer>(std::make_unique<NoBuffer>(next_.fetch_add(room), bytes));
  }
  Result<std::unique_ptr<Stream>> create_stream() override {
    return std::unique_ptr<Stream>(std::make_unique<NoStream>());
  }
  Status copy_in(Stream&, void*, const void*, size_t) override { return {}; }
  Status copy_out(Stream&, void* to_host, const void*, size_t bytes) override {
    std::memset(to_host, 0, bytes);
    return {};
  }
  Status fill(Stream&, void*, uint8_t, size_t) override { return {}; }
  bool host_addressable() const noexcept override { return false; }
  void* query(std::string_view interface) noexcept override {
    return interface == CudaLaunch::kInterface ? static_cast<CudaLaunch*>(this) : nullptr;
  }

  std::string_view architecture() const noexcept override { return architecture_; }
  int32_t multiprocessors() const noexcept override { return info_.units; }
  int32_t shared_bytes_limit() const noexcept override { return shared_limit(compute_capability(info_.features)); }
  int32_t driver_version() const noexcept override { return kDriver; }
  Result<std::shared_ptr<CudaKernel>> load(const CompiledKernel& kernel, uint32_t shared_bytes) override {
    if (static_cast<int64_t>(shared_bytes) > shared_bytes_limit())
      return failure(Code::unsupported, kernel.symbol, " wants ", shared_bytes,
                     " bytes of shared memory a block, expected at most ", shared_bytes_limit());
    const std::lock_guard lock(mutex_);
    kernels_.try_emplace(kernel.symbol, Known{kernel.from_cache, static_cast<int64_t>(kernel.cubin.size())});
    return std::shared_ptr<CudaKernel>(std::make_shared<NoKernel>());
  }
  Status launch(Stream&, CudaKernel&, const LaunchShape&, void**) override { return {}; }
  Result<int32_t> resident_clusters(CudaKernel&, const LaunchShape& shape) override {
    return std::max<int32_t>(1, info_.units / static_cast<int32_t>(std::max(shape.cluster, 1u)));
  }
  Result<TensorMapBytes> tensor_map(const TensorMapRequest&) override { return TensorMapBytes{}; }
  Result<std::unique_ptr<Buffer>> allocate_pinned(size_t) override {
    return failure(Code::unsupported, info_.id, " only compiles: it has no pinned memory");
  }
  Result<float> elapsed_ms(Event&, Event&) override {
    return failure(Code::unsupported, info_.id, " only compiles: nothing on it takes time");
  }
  void* native(Stream&) noexcept override { return nullptr; }
  Status begin_recording(Stream&) override { return {}; }
  Result<std::unique_ptr<RecordedWork>> end_recording(Stream&) override {
    return std::unique_ptr<RecordedWork>(std::make_unique<NoWork>());
  }

  CompiledCount compiled() const override {
    const std::lock_guard lock(mutex_);
    CompiledCount out{.kernels = std::ssize(kernels_)};
    for (const auto& [symbol, known] : kernels_) out.fresh += !known.from_cache, out.cubin_bytes += known.bytes;
    return out;
  }

 private:
  static constexpr uintptr_t kPage = uintptr_t{2} << 20;
  struct Known {
    bool from_cache = false;
    int64_t bytes = 0;
  };
  const DeviceInfo info_;
  const std::string architecture_;
  std::atomic<uintptr_t> next_{uintptr_t{1} << 40};  // nothing of the host lies there, and nothing reads it
  mutable std::mutex mutex_;                         // guards what follows
  std::map<std::string, Known> kernels_;             // by symbol
};

}  // namespace

Result<std::unique_ptr<CompileOnlyDevice>> make_compile_only_device(DeviceInfo info) {
  if (compute_capability(info.features) == 0)
    return invalid(info.id, " has no architecture to compile for among its features, expected one such as sm_90a");
  return std::unique_ptr<CompileOnlyDevice>(std::make_unique<Described>(std::move(info)));
}

}  // namespace tare::jit
