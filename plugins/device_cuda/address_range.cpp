#include "plugins/device_cuda/address_range.hpp"

#include <algorithm>
#include <vector>

namespace tare::cuda {
namespace {

size_t round_up(size_t n, size_t to) noexcept { return (n + to - 1) / to * to; }
// What a part of `bytes` takes of the addresses.
size_t room_of(size_t bytes) noexcept { return round_up(std::max<size_t>(bytes, 1), AddressRange::kAlignment); }

}  // namespace

AddressRange::AddressRange(ContextRef context, CuAddress base, size_t bytes, size_t unit)
    : context_(std::move(context)), base_(base), bytes_(bytes), unit_(unit), free_{{0, bytes}} {}

Result<std::shared_ptr<AddressRange>> AddressRange::reserve(ContextRef context, size_t bytes) {
  const Driver& d = context->enter();
  int able = 0;
  TARE_RETURN_IF_ERROR(
      d.check(d.cuDeviceGetAttribute(&able, kDeviceVirtualMemory, context->device()), "cuDeviceGetAttribute"));
  if (able == 0) return failure(Code::unsupported, "the device does not map memory to reserved addresses");
  CuMemoryProperties properties;
  properties.location = context->device();
  size_t unit = 0;
  TARE_RETURN_IF_ERROR(
      d.check(d.cuMemGetAllocationGranularity(&unit, &properties, 0), "cuMemGetAllocationGranularity"));
  bytes = round_up(bytes, unit);
  CuAddress base = 0;
  TARE_RETURN_IF_ERROR(
      d.check(d.cuMemAddressReserve(&base, bytes, 0, 0, 0), "cuMemAddressReserve", text(bytes, " bytes")));
  return std::shared_ptr<AddressRange>(new AddressRange(std::move(context), base, bytes, unit));
}

AddressRange::~AddressRange() {
  while (!runs_.empty()) unmap(runs_.begin());
  context_->enter().cuMemAddressFree(base_, bytes_);
}

Result<CuAddress> AddressRange::take(size_t bytes, std::string_view doing) {
  const size_t room = room_of(bytes);
  const std::lock_guard lock(mutex_);
  const auto at = std::ranges::find_if(free_, [&](const auto& hole) { return hole.second >= room; });
  if (at == free_.end())
    return failure(Code::exhausted, "the reserved range of ", bytes_, " bytes of addresses has no hole of ", room, " (",
                   doing, ")");
  const auto [begin, hole] = *at;
  TARE_RETURN_IF_ERROR(cover(begin, begin + room, doing));
  free_.erase(at);
  if (hole > room) free_.emplace(begin + room, hole - room);
  return base_ + begin;
}

void AddressRange::give_back(CuAddress address, size_t bytes) noexcept {
  size_t begin = address - base_, end = begin + room_of(bytes);
  context_->enter().cuCtxSynchronize();
  const std::lock_guard lock(mutex_);
  leave(begin, end);
  auto next = free_.lower_bound(begin);
  if (next != free_.end() && next->first == end) {
    end += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin()) {
    const auto before = std::prev(next);
    if (before->first + before->second == begin) {
      before->second = end - before->first;
      return;
    }
  }
  free_.emplace(begin, end - begin);
}

size_t AddressRange::mapped() const {
  const std::lock_guard lock(mutex_);
  size_t total = 0;
  for (const auto& [begin, run] : runs_) total += run.end - begin;
  return total;
}

Result<AddressRange::Runs::iterator> AddressRange::map(size_t begin, size_t end, std::string_view doing) {
  const Driver& d = context_->enter();
  CuMemoryProperties properties;
  properties.location = context_->device();
  CuMemoryHandle handle = 0;
  TARE_RETURN_IF_ERROR(d.check(d.cuMemCreate(&handle, end - begin, &properties, 0), "cuMemCreate", doing));
  Status status = d.check(d.cuMemMap(base_ + begin, end - begin, 0, handle, 0), "cuMemMap", doing);
  if (status.ok()) {
    CuMemoryAccess access;
    access.location = context_->device();
    status = d.check(d.cuMemSetAccess(base_ + begin, end - begin, &access, 1), "cuMemSetAccess", doing);
    if (!status.ok()) d.cuMemUnmap(base_ + begin, end - begin);
  }
  if (!status.ok()) {
    d.cuMemRelease(handle);
    return status;
  }
  return runs_.emplace(begin, Run{end, handle, 0}).first;
}

void AddressRange::unmap(Runs::iterator run) noexcept {
  const Driver& d = context_->enter();
  d.cuMemUnmap(base_ + run->first, run->second.end - run->first);
  d.cuMemRelease(run->second.handle);
  runs_.erase(run);
}

Status AddressRange::cover(size_t begin, size_t end, std::string_view doing) {
  const size_t last = round_up(end, unit_);
  std::vector<Runs::iterator> made, touched;
  for (size_t at = begin / unit_ * unit_; at < last;) {
    auto run = runs_.upper_bound(at);
    if (run != runs_.begin() && std::prev(run)->second.end > at) {
      touched.push_back(std::prev(run));
    } else {
      auto fresh = map(at, run == runs_.end() ? last : std::min(last, run->first), doing);
      if (!fresh.ok()) {
        for (const auto& undo : made) unmap(undo);
        return fresh.status();
      }
      made.push_back(*fresh);
      touched.push_back(*fresh);
    }
    at = touched.back()->second.end;
  }
  for (const auto& run : touched) ++run->second.users;
  return {};
}

void AddressRange::leave(size_t begin, size_t end) noexcept {
  auto run = std::prev(runs_.upper_bound(begin));
  while (run != runs_.end() && run->first < end) {
    const auto next = std::next(run);
    if (--run->second.users == 0) unmap(run);
    run = next;
  }
}

}  // namespace tare::cuda
