#include "plugins/device_cuda/device.hpp"

#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "core/api/ledger.hpp"
#include "jit/cuda_kernel.hpp"
#include "plugins/device_cuda/codec/tile_decoder.hpp"
#include "plugins/device_cuda/launch_timer.hpp"
#include "plugins/device_cuda/memory.hpp"
#include "plugins/device_cuda/sensors.hpp"
#include "plugins/device_cuda/vendor_products.hpp"

namespace tare::cuda {
namespace {

class CudaEvent final : public Event {
 public:
  CudaEvent(ContextRef context, CuEvent event) : context_(std::move(context)), event_(event) {}
  ~CudaEvent() override { context_->enter().cuEventDestroy_v2(event_); }
  Status wait() override {
    const Driver& d = context_->enter();
    return d.check(d.cuEventSynchronize(event_), "cuEventSynchronize");
  }
  CuEvent native() const noexcept { return event_; }

 private:
  const ContextRef context_;
  const CuEvent event_;
};

class LoadedKernel final : public jit::CudaKernel, public std::enable_shared_from_this<LoadedKernel> {
 public:
  LoadedKernel(ContextRef context, CuModule module, CuFunction function, uint32_t shared_bytes)
      : context_(std::move(context)), module_(module), function_(function), shared_bytes_(shared_bytes) {}
  ~LoadedKernel() override { context_->enter().cuModuleUnload(module_); }
  CuFunction function() const noexcept { return function_; }
  uint32_t shared_bytes() const noexcept { return shared_bytes_; }

 private:
  const ContextRef context_;
  const CuModule module_;
  const CuFunction function_;
  const uint32_t shared_bytes_;
};

class CudaStream final : public Stream {
 public:
  CudaStream(ContextRef context, CuStream stream) : context_(std::move(context)), stream_(stream) {}
  ~CudaStream() override { context_->enter().cuStreamDestroy_v2(stream_); }
  Status synchronize() override {
    const Driver& d = context_->enter();
    return d.check(d.cuStreamSynchronize(stream_), "cuStreamSynchronize");
  }
  Result<std::unique_ptr<Event>> record() override {
    const Driver& d = context_->enter();
    CuEvent event = nullptr;
    TARE_RETURN_IF_ERROR(d.check(d.cuEventCreate(&event, 0), "cuEventCreate"));
    auto out = std::make_unique<CudaEvent>(context_, event);
    TARE_RETURN_IF_ERROR(d.check(d.cuEventRecord(event, stream_), "cuEventRecord"));
    return std::unique_ptr<Event>(std::move(out));
  }
  CuStream native() const noexcept { return stream_; }

  // While recording, the kernels that the graph will need.
  void start_recording() { recording_ = true; }
  void used(LoadedKernel& kernel) {
    if (recording_) kernels_.push_back(kernel.shared_from_this());
  }
  std::vector<std::shared_ptr<LoadedKernel>> stop_recording() {
    recording_ = false;
    return std::exchange(kernels_, {});
  }

 private:
  const ContextRef context_;
  const CuStream stream_;
  bool recording_ = false;
  std::vector<std::shared_ptr<LoadedKernel>> kernels_;
};
CuStream native_of(Stream& stream) { return static_cast<CudaStream&>(stream).native(); }

class RecordedGraph final : public RecordedWork {
 public:
  static constexpr const char* kLabel = "recorded steps";
  // `bytes`: reserved for it in the ledger.
  RecordedGraph(ContextRef context, CuGraphExec graph, std::vector<std::shared_ptr<LoadedKernel>> kernels,
                std::shared_ptr<Ledger> ledger, int64_t bytes)
      : context_(std::move(context)),
        graph_(graph),
        kernels_(std::move(kernels)),
        ledger_(std::move(ledger)),
        bytes_(bytes) {}
  ~RecordedGraph() override {
    context_->enter().cuGraphExecDestroy(graph_);
    ledger_->release(bytes_, Purpose::graphs, kLabel);
  }
  Status launch(Stream& stream) override {
    const Driver& d = context_->enter();
    return d.check(d.cuGraphLaunch(graph_, native_of(stream)), "cuGraphLaunch");
  }

 private:
  const ContextRef context_;
  const CuGraphExec graph_;
  const std::vector<std::shared_ptr<LoadedKernel>> kernels_;  // a graph does not keep its modules loaded by itself
  const std::shared_ptr<Ledger> ledger_;
  const int64_t bytes_;
};

// The driver's launch description; holds the attributes that it points to.
struct LaunchDescription {
  CuLaunchConfig config{};
  std::array<CuLaunchAttribute, 2> attributes{};
  LaunchDescription(CuStream stream, const jit::LaunchShape& s, bool may_overlap) {
    config = {s.grid_x, s.grid_y, s.grid_z, s.threads, 1, 1, s.shared_bytes, stream, attributes.data(), 0};
    if (s.cluster > 1) {
      CuLaunchAttribute& a = attributes[config.num_attributes++];
      a.id = kAttributeCluster;
      a.value.cluster = {s.cluster, 1, 1};
    }
    if (s.dependent && may_overlap) {
      CuLaunchAttribute& a = attributes[config.num_attributes++];
      a.id = kAttributeDependentLaunch;
      a.value.serialization_allowed = 1;
    }
  }
  LaunchDescription(const LaunchDescription&) = delete;
};

class CudaDevice final : public Device, public jit::CudaLaunch, public PinnedMemory, public TileDecoding {
 public:
  CudaDevice(ContextRef context, DeviceInfo info, std::string architecture, int shared_limit, int version,
             int64_t budget, jit::Jit* jit)
      : context_(std::move(context)),
        info_(std::move(info)),
        architecture_(std::move(architecture)),
        overlaps_(jit::compute_capability(info_.features) >= 90),
        shared_limit_(shared_limit),
        version_(version),
        jit_(jit),
        ledger_(std::make_shared<Ledger>(info_.id, budget)),
        memory_(context_, ledger_) {}

  const DeviceInfo& info() const noexcept override { return info_; }

  Result<std::unique_ptr<Buffer>> allocate(size_t bytes, Purpose purpose, std::string_view label) override {
    return memory_.allocate(bytes, purpose, label);
  }
  Result<std::unique_ptr<Stream>> create_stream() override {
    const Driver& d = context_->enter();
    CuStream stream = nullptr;
    TARE_RETURN_IF_ERROR(d.check(d.cuStreamCreate(&stream, kStreamNonBlocking), "cuStreamCreate"));
    return std::unique_ptr<Stream>(std::make_unique<CudaStream>(context_, stream));
  }
  Status copy_in(Stream& stream, void* to_device, const void* from_host, size_t bytes) override {
    const Driver& d = context_->enter();
    return d.check(d.cuMemcpyHtoDAsync_v2(reinterpret_cast<CuAddress>(to_device), from_host, bytes, native_of(stream)),
                   "cuMemcpyHtoDAsync");
  }
  Status copy_out(Stream& stream, void* to_host, const void* from_device, size_t bytes) override {
    const Driver& d = context_->enter();
    return d.check(d.cuMemcpyDtoHAsync_v2(to_host, reinterpret_cast<CuAddress>(from_device), bytes, native_of(stream)),
                   "cuMemcpyDtoHAsync");
  }
  Status fill(Stream& stream, void* device, uint8_t value, size_t bytes) override {
    const Driver& d = context_->enter();
    return d.check(d.cuMemsetD8Async(reinterpret_cast<CuAddress>(device), value, bytes, native_of(stream)),
                   "cuMemsetD8Async");
  }
  bool host_addressable() const noexcept override { return false; }
  void* query(std::string_view interface) noexcept override {
    if (interface == jit::CudaLaunch::kInterface) return static_cast<jit::CudaLaunch*>(this);
    if (interface == WorkRecorder::kInterface) return static_cast<WorkRecorder*>(static_cast<jit::CudaLaunch*>(this));
    if (interface == PinnedMemory::kInterface) return static_cast<PinnedMemory*>(this);
    if (interface == TileDecoding::kInterface && jit_ != nullptr) return static_cast<TileDecoding*>(this);
    if (interface == Ledger::kInterface) return ledger_.get();
    return measuring(interface);
  }

  std::string_view architecture() const noexcept override { return architecture_; }
  int32_t multiprocessors() const noexcept override { return info_.units; }
  int32_t shared_bytes_limit() const noexcept override { return shared_limit_; }
  int32_t driver_version() const noexcept override { return version_; }

  Result<std::shared_ptr<jit::CudaKernel>> load(const jit::CompiledKernel& kernel, uint32_t shared_bytes) override {
    if (static_cast<int32_t>(shared_bytes) > shared_limit_) {
      return failure(Code::unsupported, kernel.symbol, " wants ", shared_bytes, " bytes of shared memory a block, ",
                     info_.name, " has ", shared_limit_);
    }
    // One module for all users of the same machine code, as long as one of them lives.
    const std::string_view code(reinterpret_cast<const char*>(kernel.cubin.data()), kernel.cubin.size());
    const std::string key = kernel.symbol + '\n' + std::to_string(std::hash<std::string_view>{}(code));
    const std::lock_guard lock(loaded_mutex_);
    if (auto known = loaded_[key].lock()) {
      if (known->shared_bytes() >= shared_bytes) return std::shared_ptr<jit::CudaKernel>(std::move(known));
    }
    const Driver& d = context_->enter();
    CuModule module = nullptr;
    CuFunction function = nullptr;
    TARE_RETURN_IF_ERROR(d.check(d.cuModuleLoadData(&module, kernel.cubin.data()), "cuModuleLoadData", kernel.symbol));
    Status status =
        d.check(d.cuModuleGetFunction(&function, module, kernel.symbol.c_str()), "cuModuleGetFunction", kernel.symbol);
    if (status.ok() && shared_bytes > 49152) {
      status = d.check(d.cuFuncSetAttribute(function, kFunctionMaxDynamicShared, static_cast<int>(shared_bytes)),
                       "cuFuncSetAttribute", kernel.symbol);
    }
    if (!status.ok()) {
      d.cuModuleUnload(module);
      return status;
    }
    auto out = std::make_shared<LoadedKernel>(context_, module, function, shared_bytes);
    loaded_[key] = out;
    return std::shared_ptr<jit::CudaKernel>(std::move(out));
  }
  Status launch(Stream& stream, jit::CudaKernel& kernel, const jit::LaunchShape& shape, void** arguments) override {
    const Driver& d = context_->enter();
    const LaunchDescription description(native_of(stream), shape, overlaps_);
    static_cast<CudaStream&>(stream).used(static_cast<LoadedKernel&>(kernel));
    return d.check(
        d.cuLaunchKernelEx(&description.config, static_cast<LoadedKernel&>(kernel).function(), arguments, nullptr),
        "cuLaunchKernelEx");
  }
  Result<int32_t> resident_clusters(jit::CudaKernel& kernel, const jit::LaunchShape& shape) override {
    const Driver& d = context_->enter();
    const LaunchDescription description(nullptr, shape, overlaps_);
    int clusters = 0;
    TARE_RETURN_IF_ERROR(d.check(
        d.cuOccupancyMaxActiveClusters(&clusters, static_cast<LoadedKernel&>(kernel).function(), &description.config),
        "cuOccupancyMaxActiveClusters"));
    return clusters;
  }
  Result<jit::TensorMapBytes> tensor_map(const jit::TensorMapRequest& r) override {
    const Driver& d = context_->enter();
    jit::TensorMapBytes out;
    const uint32_t element_strides[4] = {1, 1, 1, 1};
    TARE_RETURN_IF_ERROR(
        d.check(d.cuTensorMapEncodeTiled(&out, r.element == jit::TensorElement::bf16 ? kTensorBf16 : kTensorUint64,
                                         static_cast<uint32_t>(r.dimensions), const_cast<void*>(r.address), r.sizes,
                                         r.strides + 1, r.box, element_strides, 0,
                                         r.swizzle_128 ? kSwizzle128 : kSwizzleNone, kPromotion256, 0),
                "cuTensorMapEncodeTiled"));
    return out;
  }
  Result<std::unique_ptr<Buffer>> allocate_pinned(size_t bytes) override { return memory_.allocate_pinned(bytes); }
  Status begin_recording(Stream& stream) override {
    const Driver& d = context_->enter();
    TARE_RETURN_IF_ERROR(
        d.check(d.cuStreamBeginCapture_v2(native_of(stream), kCaptureThreadLocal), "cuStreamBeginCapture"));
    static_cast<CudaStream&>(stream).start_recording();
    return {};
  }
  Result<std::unique_ptr<RecordedWork>> end_recording(Stream& stream) override {
    const Driver& d = context_->enter();
    CuGraph graph = nullptr;
    CuGraphExec exec = nullptr;
    auto kernels = static_cast<CudaStream&>(stream).stop_recording();
    TARE_RETURN_IF_ERROR(d.check(d.cuStreamEndCapture(native_of(stream), &graph), "cuStreamEndCapture"));
    // The driver does not say what a graph takes: it is what becomes less meanwhile. Uploading takes now what the first
    // launch would.
    const auto held = memory_.hold();
    size_t before = 0, after = 0, total = 0;
    CuResult made = d.cuMemGetInfo_v2(&before, &total);
    if (made == 0) made = d.cuGraphInstantiateWithFlags(&exec, graph, 0);
    d.cuGraphDestroy(graph);
    TARE_RETURN_IF_ERROR(d.check(made, "cuGraphInstantiateWithFlags"));
    Status status = d.check(d.cuGraphUpload(exec, native_of(stream)), "cuGraphUpload");
    if (status.ok()) status = d.check(d.cuMemGetInfo_v2(&after, &total), "cuMemGetInfo");
    const auto bytes = static_cast<int64_t>(before > after ? before - after : 0);
    if (status.ok()) status = ledger_->reserve(bytes, Purpose::graphs, RecordedGraph::kLabel);
    if (!status.ok()) {
      d.cuGraphExecDestroy(exec);
      return status;
    }
    return std::unique_ptr<RecordedWork>(
        std::make_unique<RecordedGraph>(context_, exec, std::move(kernels), ledger_, bytes));
  }
  Result<float> elapsed_ms(Event& first, Event& second) override {
    const Driver& d = context_->enter();
    float ms = 0;
    TARE_RETURN_IF_ERROR(d.check(
        d.cuEventElapsedTime(&ms, static_cast<CudaEvent&>(first).native(), static_cast<CudaEvent&>(second).native()),
        "cuEventElapsedTime"));
    return ms;
  }
  void* native(Stream& stream) noexcept override { return native_of(stream); }
  Result<std::unique_ptr<DeviceTileDecoder>> tile_decoder() override {
    return cuda_codec::make_tile_decoder(*jit_, *this, *this);
  }

 private:
  // What only those who measure ask for; made then.
  void* measuring(std::string_view interface) noexcept {
    const std::lock_guard lock(measuring_mutex_);
    if (interface == LaunchTimer::kInterface) return static_cast<LaunchTimer*>(&timer_);
    if (interface == VendorProducts::kInterface) {
      if (vendor_ == nullptr) vendor_ = make_vendor_products(*this, *this);
      return vendor_.get();
    }
    if (interface == DeviceSensors::kInterface) {
      if (!std::exchange(sensors_tried_, true)) sensors_ = open_sensors(context_->bus_id());
      return sensors_.get();
    }
    return nullptr;
  }

  const ContextRef context_;
  const DeviceInfo info_;
  const std::string architecture_;
  const bool overlaps_;  // knows programmatic dependent launch
  const int32_t shared_limit_, version_;
  jit::Jit* const jit_;  // null: nothing can be compiled
  const std::shared_ptr<Ledger> ledger_;
  DeviceMemory memory_;
  std::mutex loaded_mutex_;
  std::map<std::string, std::weak_ptr<LoadedKernel>> loaded_;
  std::mutex measuring_mutex_;
  GraphTimer timer_{*this};
  std::unique_ptr<VendorProducts> vendor_;
  std::unique_ptr<DeviceSensors> sensors_;
  bool sensors_tried_ = false;
};

}  // namespace

std::string sku_slug(std::string_view name) {
  // Names that the shipped tuning database knows under a shorter slug.
  if (name == "NVIDIA H100 80GB HBM3") return "nvidia-h100-sxm";
  std::string out;
  for (const char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (letter) {
      out += c;
    } else if (c >= 'A' && c <= 'Z') {
      out += static_cast<char>(c - 'A' + 'a');
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out;
}

Result<DeviceInfo> describe(const Driver& d, int ordinal) {
  CuDevice device = 0;
  char device_name[256] = {};
  int major = 0, minor = 0, units = 0;
  size_t bytes = 0;
  TARE_RETURN_IF_ERROR(d.check(d.cuDeviceGet(&device, ordinal), "cuDeviceGet", text("cuda:", ordinal)));
  TARE_RETURN_IF_ERROR(d.check(d.cuDeviceGetName(device_name, sizeof device_name - 1, device), "cuDeviceGetName"));
  TARE_RETURN_IF_ERROR(d.check(d.cuDeviceGetAttribute(&major, kDeviceMajor, device), "cuDeviceGetAttribute"));
  TARE_RETURN_IF_ERROR(d.check(d.cuDeviceGetAttribute(&minor, kDeviceMinor, device), "cuDeviceGetAttribute"));
  TARE_RETURN_IF_ERROR(d.check(d.cuDeviceGetAttribute(&units, kDeviceMultiprocessors, device), "cuDeviceGetAttribute"));
  TARE_RETURN_IF_ERROR(d.check(d.cuDeviceTotalMem_v2(&bytes, device), "cuDeviceTotalMem"));
  DeviceInfo info;
  info.id = text("cuda:", ordinal);
  info.kind = "cuda";
  info.name = device_name;
  info.architecture = text("sm", major, minor);
  info.sku = sku_slug(device_name);
  info.features = {jit::compiled_for(text("sm", major, minor))};
  info.memory_bytes = static_cast<int64_t>(bytes);
  info.units = units;
  return info;
}

Result<std::unique_ptr<Device>> open_device(std::shared_ptr<const Driver> driver, int ordinal, int64_t memory_bytes,
                                            jit::Jit* jit) {
  TARE_ASSIGN_OR_RETURN(DeviceInfo info, describe(*driver, ordinal));
  CuDevice device = 0;
  int shared_limit = 0;
  TARE_RETURN_IF_ERROR(driver->check(driver->cuDeviceGet(&device, ordinal), "cuDeviceGet"));
  TARE_RETURN_IF_ERROR(
      driver->check(driver->cuDeviceGetAttribute(&shared_limit, kDeviceSharedOptin, device), "cuDeviceGetAttribute"));
  TARE_ASSIGN_OR_RETURN(ContextRef context, Context::create(driver, ordinal));
  size_t free = 0, total = 0;
  TARE_RETURN_IF_ERROR(driver->check(context->enter().cuMemGetInfo_v2(&free, &total), "cuMemGetInfo"));
  if (memory_bytes > static_cast<int64_t>(free)) {
    return failure(Code::exhausted, info.id, " (", info.name, ") has ", free, " of ", total,
                   " bytes free, the budget asks for ", memory_bytes);
  }
  const std::string architecture = info.features.front();
  return std::unique_ptr<Device>(
      std::make_unique<CudaDevice>(std::move(context), std::move(info), architecture, shared_limit, driver->version(),
                                   memory_bytes > 0 ? memory_bytes : static_cast<int64_t>(free), jit));
}

}  // namespace tare::cuda
