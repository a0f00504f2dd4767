#include "plugins/device_cuda/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace tare::cuda {
namespace {

// A reservation in the ledger, given back by the destructor.
class Reservation {
 public:
  static Result<Reservation> take(std::shared_ptr<Ledger> ledger, size_t bytes, Purpose purpose,
                                  std::string_view label) {
    TARE_RETURN_IF_ERROR(ledger->reserve(static_cast<int64_t>(bytes), purpose, label));
    return Reservation(std::move(ledger), bytes, purpose, std::string(label));
  }
  Reservation(Reservation&&) noexcept = default;
  Reservation& operator=(Reservation&&) = delete;
  ~Reservation() {
    if (ledger_ != nullptr) ledger_->release(static_cast<int64_t>(bytes_), purpose_, label_);
  }
  size_t bytes() const noexcept { return bytes_; }

 private:
  Reservation(std::shared_ptr<Ledger> ledger, size_t bytes, Purpose purpose, std::string label)
      : ledger_(std::move(ledger)), bytes_(bytes), purpose_(purpose), label_(std::move(label)) {}
  std::shared_ptr<Ledger> ledger_;
  size_t bytes_;
  Purpose purpose_;
  std::string label_;
};

class DeviceBuffer final : public Buffer {
 public:
  DeviceBuffer(ContextRef context, Reservation reservation, CuAddress address)
      : context_(std::move(context)), reservation_(std::move(reservation)), address_(address) {}
  ~DeviceBuffer() override { context_->enter().cuMemFree_v2(address_); }
  void* data() const noexcept override { return reinterpret_cast<void*>(address_); }
  size_t bytes() const noexcept override { return reservation_.bytes(); }

 private:
  const ContextRef context_;
  const Reservation reservation_;
  const CuAddress address_;
};

class RangeBuffer final : public Buffer {
 public:
  RangeBuffer(std::shared_ptr<AddressRange> range, Reservation reservation, CuAddress address)
      : range_(std::move(range)), reservation_(std::move(reservation)), address_(address) {}
  ~RangeBuffer() override { range_->give_back(address_, reservation_.bytes()); }
  void* data() const noexcept override { return reinterpret_cast<void*>(address_); }
  size_t bytes() const noexcept override { return reservation_.bytes(); }

 private:
  const std::shared_ptr<AddressRange> range_;
  const Reservation reservation_;
  const CuAddress address_;
};

class PinnedBuffer final : public Buffer {
 public:
  PinnedBuffer(ContextRef context, void* data, size_t bytes)
      : context_(std::move(context)), data_(data), bytes_(bytes) {}
  ~PinnedBuffer() override { context_->enter().cuMemFreeHost(data_); }
  void* data() const noexcept override { return data_; }
  size_t bytes() const noexcept override { return bytes_; }

 private:
  const ContextRef context_;
  void* const data_;
  const size_t bytes_;
};

// A touch makes the system zero a page, which takes longer than to register it: several threads share them.
void touch(std::byte* data, size_t bytes) {
  constexpr size_t kShare = size_t{4} << 20;
  const size_t shares = (bytes + kShare - 1) / kShare;
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t s; (s = next++) < shares;)
      for (size_t at = s * kShare; at < std::min(bytes, (s + 1) * kShare); at += 4096) data[at] = std::byte{0};
  };
  std::vector<std::thread> others;
  const size_t threads = std::min<size_t>({shares, std::max(1u, std::thread::hardware_concurrency()), 16});
  for (size_t t = 1; t < threads; ++t) others.emplace_back(work);
  work();
  for (std::thread& t : others) t.join();
}

// Huge pages, touched and then registered: several times faster than cuMemHostAlloc, which pins page by page.
class RegisteredBuffer final : public Buffer {
 public:
  static constexpr size_t kPage = size_t{2} << 20;
  // Null: not here.
  static std::unique_ptr<RegisteredBuffer> create(ContextRef context, size_t bytes) {
    const size_t mapped = (bytes + kPage - 1) / kPage * kPage + kPage;  // one more, to align by
    void* const base = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return nullptr;
    const auto aligned = (reinterpret_cast<uintptr_t>(base) + kPage - 1) / kPage * kPage;
    auto* const data = reinterpret_cast<std::byte*>(aligned);
    ::madvise(data, mapped - kPage, MADV_HUGEPAGE);
    touch(data, bytes);
    if (context->enter().cuMemHostRegister_v2(data, bytes, 0) != 0) {
      ::munmap(base, mapped);
      return nullptr;
    }
    return std::unique_ptr<RegisteredBuffer>(new RegisteredBuffer(std::move(context), base, mapped, data, bytes));
  }
  ~RegisteredBuffer() override {
    context_->enter().cuMemHostUnregister(data_);
    ::munmap(base_, mapped_);
  }
  void* data() const noexcept override { return data_; }
  size_t bytes() const noexcept override { return bytes_; }

 private:
  RegisteredBuffer(ContextRef context, void* base, size_t mapped, void* data, size_t bytes)
      : context_(std::move(context)), base_(base), mapped_(mapped), data_(data), bytes_(bytes) {}
  const ContextRef context_;
  void* const base_;
  const size_t mapped_;
  void* const data_;
  const size_t bytes_;
};

}  // namespace

Result<std::shared_ptr<AddressRange>> DeviceMemory::range_for(Purpose purpose) {
  const std::lock_guard lock(mutex_);
  auto& range = ranges_[purpose == Purpose::state ? 1 : 0];
  if (range != nullptr || plain_) return range;
  const Driver& d = context_->enter();
  size_t total = 0;
  TARE_RETURN_IF_ERROR(d.check(d.cuDeviceTotalMem_v2(&total, context_->device()), "cuDeviceTotalMem"));
  // Addresses cost nothing: twice the memory leaves room for holes.
  auto reserved = AddressRange::reserve(context_, 2 * total);
  if (!reserved.ok() && reserved.status().code() == Code::unsupported) {
    plain_ = true;
    return range;
  }
  TARE_RETURN_IF_ERROR(reserved.status());
  return range = std::move(*reserved);
}

Result<std::unique_ptr<Buffer>> DeviceMemory::allocate(size_t bytes, Purpose purpose, std::string_view label) {
  const std::shared_lock steady(steady_);
  TARE_ASSIGN_OR_RETURN(Reservation reservation, Reservation::take(ledger_, bytes, purpose, label));
  const std::string doing = text(bytes, " bytes for ", label);
  if (purpose == Purpose::weights || purpose == Purpose::state) {
    TARE_ASSIGN_OR_RETURN(auto range, range_for(purpose));
    if (range != nullptr) {
      TARE_ASSIGN_OR_RETURN(const CuAddress address, range->take(bytes, doing));
      return std::unique_ptr<Buffer>(std::make_unique<RangeBuffer>(std::move(range), std::move(reservation), address));
    }
  }
  const Driver& d = context_->enter();
  CuAddress address = 0;
  TARE_RETURN_IF_ERROR(d.check(d.cuMemAlloc_v2(&address, bytes > 0 ? bytes : 1), "cuMemAlloc", doing));
  return std::unique_ptr<Buffer>(std::make_unique<DeviceBuffer>(context_, std::move(reservation), address));
}

Result<std::unique_ptr<Buffer>> DeviceMemory::allocate_pinned(size_t bytes) {
  if (bytes >= RegisteredBuffer::kPage)
    if (auto registered = RegisteredBuffer::create(context_, bytes))
      return std::unique_ptr<Buffer>(std::move(registered));
  const Driver& d = context_->enter();
  void* data = nullptr;
  TARE_RETURN_IF_ERROR(
      d.check(d.cuMemHostAlloc(&data, bytes > 0 ? bytes : 1, 0), "cuMemHostAlloc", text(bytes, " bytes")));
  return std::unique_ptr<Buffer>(std::make_unique<PinnedBuffer>(context_, data, bytes));
}

}  // namespace tare::cuda
