#include "core/device/null_device.hpp"

#include <cstring>
#include <limits>
#include <new>
#include <string>
#include <utility>

namespace tare {
namespace {

constexpr std::align_val_t kAlignment{64};

class NullBuffer final : public Buffer {
 public:
  NullBuffer(std::shared_ptr<Ledger> ledger, void* data, size_t bytes, Purpose purpose, std::string label)
      : ledger_(std::move(ledger)), data_(data), bytes_(bytes), purpose_(purpose), label_(std::move(label)) {}
  ~NullBuffer() override {
    ::operator delete(data_, kAlignment);
    ledger_->release(static_cast<int64_t>(bytes_), purpose_, label_);
  }
  void* data() const noexcept override { return data_; }
  size_t bytes() const noexcept override { return bytes_; }

 private:
  std::shared_ptr<Ledger> ledger_;
  void* data_;
  size_t bytes_;
  Purpose purpose_;
  std::string label_;
};
struct NullEvent final : Event {
  Status wait() override { return {}; }
};
struct NullStream final : Stream {
  Status synchronize() override { return {}; }
  Result<std::unique_ptr<Event>> record() override { return std::make_unique<NullEvent>(); }
};

}  // namespace

NullDevice::NullDevice(int64_t budget_bytes) : ledger_(std::make_shared<Ledger>("null", budget_bytes)) {
  info_.id = info_.kind = info_.architecture = info_.sku = "null";
  info_.name = "null device";
  info_.memory_bytes = budget_bytes;
}
NullDevice::~NullDevice() = default;

Result<std::unique_ptr<Buffer>> NullDevice::allocate(size_t bytes, Purpose purpose, std::string_view label) {
  constexpr size_t kMost = std::numeric_limits<int64_t>::max();
  const auto wanted = static_cast<int64_t>(bytes < kMost ? bytes : kMost);
  if (Status status = ledger_->reserve(wanted, purpose, label); !status.ok()) {
    ++refused_;
    return status;
  }
  void* data = ::operator new(bytes == 0 ? 1 : bytes, kAlignment, std::nothrow);
  if (data == nullptr) {
    ledger_->release(wanted, purpose, std::string(label));
    ++refused_;
    return failure(Code::exhausted, "null: '", label, "' needs ", Ledger::with_unit(wanted),
                   ", which the host does not have");
  }
  ++allocations_;
  return std::make_unique<NullBuffer>(ledger_, data, bytes, purpose, std::string(label));
}
Result<std::unique_ptr<Stream>> NullDevice::create_stream() { return std::make_unique<NullStream>(); }
Status NullDevice::copy_in(Stream&, void* to_device, const void* from_host, size_t bytes) {
  ++copies_;
  if (bytes != 0) std::memcpy(to_device, from_host, bytes);
  return {};
}
Status NullDevice::copy_out(Stream&, void* to_host, const void* from_device, size_t bytes) {
  ++copies_;
  if (bytes != 0) std::memcpy(to_host, from_device, bytes);
  return {};
}
Status NullDevice::fill(Stream&, void* device, uint8_t value, size_t bytes) {
  if (bytes != 0) std::memset(device, value, bytes);
  return {};
}
void* NullDevice::query(std::string_view interface) noexcept {
  return interface == Ledger::kInterface ? ledger_.get() : nullptr;
}

}  // namespace tare
