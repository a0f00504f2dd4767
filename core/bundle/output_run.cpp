#include "core/bundle/output_run.hpp"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <new>
#include <thread>

namespace tare {

constexpr auto kAlignment = static_cast<size_t>(OutputFile::kBlockAlignment);

// One block fills, the other one is written by a thread of its own, which starts with the first full block.
struct OutputRun::Blocks {
  struct Free {
    void operator()(std::byte* p) const noexcept { ::operator delete[](p, std::align_val_t{kAlignment}); }
  };
  using Block = std::unique_ptr<std::byte[], Free>;
  static Block allocate() {
    return Block(static_cast<std::byte*>(::operator new[](kBlockBytes, std::align_val_t{kAlignment})));
  }

  Block filling, writing;
  size_t used = 0;  // of `filling`
  int64_t begin = 0;

  std::mutex mutex;
  std::condition_variable changed;
  bool busy = false, stop = false;  // busy: `writing` waits or is written
  int64_t writing_begin = 0;
  Status status;
  std::thread thread;

  ~Blocks() {
    if (!thread.joinable()) return;
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    thread.join();
  }
  Status wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return !busy; });
    return status;
  }
  Status submit(OutputFile* file) {
    TARE_RETURN_IF_ERROR(wait());
    if (!thread.joinable()) writing = allocate(), thread = std::thread([this, file] { run(file); });
    std::swap(filling, writing);
    {
      const std::lock_guard lock(mutex);
      writing_begin = begin, busy = true;
    }
    changed.notify_all();
    begin += static_cast<int64_t>(kBlockBytes), used = 0;
    return {};
  }
  void run(OutputFile* file) {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return busy || stop; });
      if (!busy) return;
      lock.unlock();
      Status written = file->write_block(writing_begin, {writing.get(), kBlockBytes});
      lock.lock();
      busy = false;
      if (status.ok()) status = std::move(written);
      changed.notify_all();
    }
  }
};

OutputRun::OutputRun(OutputFile* file, int64_t offset)
    : file_(file), offset_(offset), blocks_(std::make_unique<Blocks>()) {
  blocks_->begin = offset;
}
OutputRun::~OutputRun() = default;

Status OutputRun::add(std::span<const std::byte> bytes) {
  Blocks& b = *blocks_;
  while (!bytes.empty()) {
    if (b.used == 0 && b.begin % OutputFile::kBlockAlignment != 0) {  // up to where blocks may begin
      const int64_t room = OutputFile::kBlockAlignment - b.begin % OutputFile::kBlockAlignment;
      const auto part = bytes.first(std::min(bytes.size(), static_cast<size_t>(room)));
      TARE_RETURN_IF_ERROR(file_->write(b.begin, part));
      b.begin += static_cast<int64_t>(part.size()), offset_ = b.begin;
      bytes = bytes.subspan(part.size());
      continue;
    }
    if (!b.filling) b.filling = Blocks::allocate();
    const size_t part = std::min(bytes.size(), kBlockBytes - b.used);
    std::memcpy(b.filling.get() + b.used, bytes.data(), part);
    b.used += part, offset_ += static_cast<int64_t>(part), bytes = bytes.subspan(part);
    if (b.used == kBlockBytes) TARE_RETURN_IF_ERROR(b.submit(file_));
  }
  return {};
}
Status OutputRun::add_zeros(int64_t count) {
  constexpr std::array<std::byte, 4096> kZeros{};
  for (; count > 0; count -= std::min<int64_t>(count, kZeros.size()))
    TARE_RETURN_IF_ERROR(add(std::span(kZeros).first(std::min(kZeros.size(), static_cast<size_t>(count)))));
  return {};
}
Status OutputRun::end() {
  Blocks& b = *blocks_;
  const bool any = b.thread.joinable();
  TARE_RETURN_IF_ERROR(b.wait());
  const std::span<const std::byte> rest(b.filling.get(), b.used);
  const size_t whole = any ? b.used / kAlignment * kAlignment : 0;
  if (whole > 0) TARE_RETURN_IF_ERROR(file_->write_block(b.begin, rest.first(whole)));
  return file_->write(b.begin + static_cast<int64_t>(whole), rest.subspan(whole));
}

}  // namespace tare
