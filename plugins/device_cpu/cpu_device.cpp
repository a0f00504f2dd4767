#include "plugins/device_cpu/cpu_device.hpp"

#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "core/api/ledger.hpp"
#include "plugins/device_cpu/cpu_info.hpp"
#include "plugins/device_cpu/memory.hpp"
#include "plugins/device_cpu/thread_pool.hpp"

namespace tare::cpu {
namespace {

constexpr int32_t kMostThreads = 1024;

class CpuBuffer final : public Buffer {
 public:
  CpuBuffer(std::shared_ptr<Ledger> ledger, std::unique_ptr<Memory> memory, size_t bytes, Purpose purpose,
            std::string label)
      : ledger_(std::move(ledger)),
        memory_(std::move(memory)),
        bytes_(bytes),
        purpose_(purpose),
        label_(std::move(label)) {}
  ~CpuBuffer() override {
    memory_.reset();
    ledger_->release(static_cast<int64_t>(bytes_), purpose_, label_);
  }
  void* data() const noexcept override { return memory_->data(); }
  size_t bytes() const noexcept override { return bytes_; }

 private:
  std::shared_ptr<Ledger> ledger_;  // shared with the device: a buffer may outlive it
  std::unique_ptr<Memory> memory_;
  size_t bytes_;
  Purpose purpose_;
  std::string label_;
};
struct CpuEvent final : Event {
  Status wait() override { return {}; }
};
struct CpuStream final : Stream {
  Status synchronize() override { return {}; }
  Result<std::unique_ptr<Event>> record() override { return std::make_unique<CpuEvent>(); }
};

class CpuDevice final : public Device {
 public:
  CpuDevice(DeviceInfo info, std::unique_ptr<ThreadPool> pool, int64_t budget_bytes)
      : info_(std::move(info)), pool_(std::move(pool)), ledger_(std::make_shared<Ledger>(info_.id, budget_bytes)) {}

  const DeviceInfo& info() const noexcept override { return info_; }
  Result<std::unique_ptr<Buffer>> allocate(size_t bytes, Purpose purpose, std::string_view label) override {
    constexpr size_t kMost = std::numeric_limits<int64_t>::max();
    const auto wanted = static_cast<int64_t>(bytes < kMost ? bytes : kMost);
    TARE_RETURN_IF_ERROR(ledger_->reserve(wanted, purpose, label));
    auto memory = std::make_unique<Memory>(bytes);
    if (memory->data() == nullptr) {
      ledger_->release(wanted, purpose, std::string(label));
      return failure(Code::exhausted, info_.id, ": '", label, "' needs ", Ledger::with_unit(wanted),
                     ", which the budget allows and the system refused");
    }
    return std::make_unique<CpuBuffer>(ledger_, std::move(memory), bytes, purpose, std::string(label));
  }
  Result<std::unique_ptr<Stream>> create_stream() override { return std::make_unique<CpuStream>(); }
  Status copy_in(Stream&, void* to_device, const void* from_host, size_t bytes) override {
    if (bytes != 0) std::memcpy(to_device, from_host, bytes);
    return {};
  }
  Status copy_out(Stream&, void* to_host, const void* from_device, size_t bytes) override {
    if (bytes != 0) std::memcpy(to_host, from_device, bytes);
    return {};
  }
  Status fill(Stream&, void* device, uint8_t value, size_t bytes) override {
    if (bytes != 0) std::memset(device, value, bytes);
    return {};
  }
  bool host_addressable() const noexcept override { return true; }
  void* query(std::string_view interface) noexcept override {
    if (interface == CpuParallel::kInterface) return static_cast<CpuParallel*>(pool_.get());
    if (interface == Ledger::kInterface) return ledger_.get();
    return nullptr;
  }

 private:
  const DeviceInfo info_;
  const std::unique_ptr<ThreadPool> pool_;
  const std::shared_ptr<Ledger> ledger_;
};

DeviceInfo describe(const CpuInfo& cpu) {
  DeviceInfo info;
  info.id = info.kind = "cpu";
  info.name = cpu.model_name;
  info.architecture = cpu.architecture;
  info.sku = sku_slug(cpu);
  info.features = cpu.features;
  info.memory_bytes = cpu.memory_bytes;
  info.units = cpu.cores;
  return info;
}

class CpuProvider final : public DeviceProvider {
 public:
  std::string_view kind() const noexcept override { return "cpu"; }
  Found found() const override { return {{describe(read_cpu_info())}, {}}; }
  Result<std::unique_ptr<Device>> open(std::string_view id, const DeviceOptions& options) const override {
    const std::string_view widest = id.starts_with("cpu:") ? id.substr(4) : "";
    if (id != "cpu" && widest.empty())
      return failure(Code::not_found, "device '", id, "' does not exist, the one here is 'cpu'");
    if (options.threads < 0 || options.threads > kMostThreads)
      return invalid("cpu: threads is ", options.threads, ", expected 0 (all cores) to ", kMostThreads);
    if (options.memory_bytes < 0) return invalid("cpu: memory is ", options.memory_bytes, " bytes, expected 0 or more");
    CpuInfo cpu = read_cpu_info();
    if (options.threads != 0) cpu.cores = options.threads;  // some of the cores are another SKU
    if (!widest.empty()) {
      auto features = features_up_to(cpu.features, widest);
      if (!features.ok()) return std::move(features).status().in(text("device '", id, "'"));
      cpu.features = std::move(*features);
    }
    DeviceInfo info = describe(cpu);
    info.id = id;
    const int64_t budget = options.memory_bytes != 0 ? options.memory_bytes : info.memory_bytes / 10 * 9;
    TARE_ASSIGN_OR_RETURN(auto pool, ThreadPool::create(info.units));
    return std::make_unique<CpuDevice>(std::move(info), std::move(pool), budget);
  }
};

}  // namespace

std::unique_ptr<DeviceProvider> make_cpu_provider() { return std::make_unique<CpuProvider>(); }

}  // namespace tare::cpu
