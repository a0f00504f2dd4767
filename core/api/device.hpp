// Device, Stream, Event and Buffer as interfaces, and the provider by which a plugin brings a device. The host includes
// no vendor header; a device's own abilities are asked for by `name/revision`. Thread rule: a Device is [any thread]; a
// Stream belongs to one thread at a time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"

namespace tare {

struct DeviceInfo {
  std::string id;                     // "cpu", "cuda:0"
  std::string kind;                   // "cpu", "cuda": what kernels name
  std::string name;                   // "NVIDIA H100 80GB HBM3", the CPU's model name
  std::string architecture;           // "x86-64", "sm90"
  std::string sku;                    // slug: "nvidia-h100-sxm"
  std::vector<std::string> features;  // "avx2", "avx512_bf16", "amx_bf16", ...: sorted
  int64_t memory_bytes = 0;
  int32_t units = 1;  // cores in use, streaming multiprocessors
};

// What memory is for: every byte of a device is in the ledger under one of these.
enum class Purpose : uint8_t { weights, state, workspace, graphs, staging, runtime };
constexpr std::string_view name(Purpose purpose) noexcept {
  constexpr std::string_view names[] = {"weights", "state", "workspace", "graphs", "staging", "runtime"};
  return names[static_cast<size_t>(purpose)];
}

// Owns device memory; freed by the destructor, which never throws and gives the bytes back to the ledger.
class Buffer {
 public:
  virtual ~Buffer() = default;
  virtual void* data() const noexcept = 0;  // a device address
  virtual size_t bytes() const noexcept = 0;
};
class Event {
 public:
  virtual ~Event() = default;
  virtual Status wait() = 0;  // blocks the calling thread until the event has happened
};
class Stream {
 public:
  virtual ~Stream() = default;
  virtual Status synchronize() = 0;
  virtual Result<std::unique_ptr<Event>> record() = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceInfo& info() const noexcept = 0;
  // `label` names the owner in the ledger ("model/weights"). Refused with both figures when the budget does not hold
  // it.
  virtual Result<std::unique_ptr<Buffer>> allocate(size_t bytes, Purpose purpose, std::string_view label) = 0;
  virtual Result<std::unique_ptr<Stream>> create_stream() = 0;
  virtual Status copy_in(Stream& stream, void* to_device, const void* from_host, size_t bytes) = 0;
  virtual Status copy_out(Stream& stream, void* to_host, const void* from_device, size_t bytes) = 0;
  virtual Status fill(Stream& stream, void* device, uint8_t value, size_t bytes) = 0;
  // Is device memory readable and writable by the host as it is? (then copies may be left out)
  virtual bool host_addressable() const noexcept = 0;
  // An ability of this device by "name/revision" ("cpu_parallel/1", "cuda_launch/1"); null when it has none.
  virtual void* query(std::string_view interface) noexcept = 0;
};

// cpu_parallel/1: the CPU device's thread pool. Workers park when idle.
class CpuParallel {
 public:
  static constexpr std::string_view kInterface = "cpu_parallel/1";
  virtual ~CpuParallel() = default;
  virtual int32_t threads() const noexcept = 0;
  // Runs body(begin, end, worker) over [0, count) in contiguous pieces of at least `grain`; returns when all are done.
  // `worker` < threads(). The body must not throw and must not call run again. The cut depends on count, grain and
  // threads only, never on timing.
  virtual void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t, int32_t)>& body) = 0;
};

// pinned_memory/1: host memory that copies to and from the device reach without a detour, and asynchronously. [any
// thread]
class PinnedMemory {
 public:
  static constexpr std::string_view kInterface = "pinned_memory/1";
  virtual ~PinnedMemory() = default;
  virtual Result<std::unique_ptr<Buffer>> allocate_pinned(size_t bytes) = 0;  // Buffer::data() is a host address
};

// work_recorder/1: work that is recorded once and then launched as a whole, as often as wanted. A stream by one thread
// at a time.
class RecordedWork {
 public:
  virtual ~RecordedWork() = default;
  virtual Status launch(Stream& stream) = 0;
};
class WorkRecorder {
 public:
  static constexpr std::string_view kInterface = "work_recorder/1";
  virtual ~WorkRecorder() = default;
  // What is put on `stream` from now on is kept and not run: launches, copies and fills with the addresses and numbers
  // that they have now. Nobody may wait for the stream meanwhile.
  virtual Status begin_recording(Stream& stream) = 0;
  virtual Result<std::unique_ptr<RecordedWork>> end_recording(Stream& stream) = 0;
};

struct DeviceOptions {
  int32_t threads = 0;       // 0: all cores that this process may use
  int64_t memory_bytes = 0;  // budget; 0: the provider's default share
};
// Finds and opens devices of one kind. Creating it touches nothing; `found` may look at the machine.
class DeviceProvider {
 public:
  virtual ~DeviceProvider() = default;
  virtual std::string_view kind() const noexcept = 0;
  struct Found {
    std::vector<DeviceInfo> devices;
    std::vector<std::string> notes;  // what was looked for where: "libcuda.so.1: not found"
    // One of the notes, where devices may be here that cannot be used: a driver that is too old. Whoever leaves the
    // choice to us hears of it.
    std::string trouble = {};
  };
  virtual Found found() const = 0;
  virtual Result<std::unique_ptr<Device>> open(std::string_view id, const DeviceOptions& options) const = 0;
};

}  // namespace tare
