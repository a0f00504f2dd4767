// Bytes that follow each other in an OutputFile. They are gathered in blocks that go to the disk without passing the
// page cache (where the file system can) while the next block fills: a bundle is as large as the memory, and the
// kernel's copy of every byte into fresh pages costs more than coding it. Runs shorter than a block are written as
// usual. [one thread; several runs of one file may be filled by several threads]
#pragma once
#include <memory>
#include <span>

#include "core/bundle/tare_output.hpp"

namespace tare {

class OutputRun {
 public:
  OutputRun(OutputFile* file, int64_t offset);
  ~OutputRun();  // without `end` the last bytes are missing
  OutputRun(const OutputRun&) = delete;
  OutputRun& operator=(const OutputRun&) = delete;
  int64_t offset() const noexcept { return offset_; }  // of the next byte
  // A write that failed is told by this or a later call.
  Status add(std::span<const std::byte> bytes);
  Status add_zeros(int64_t count);
  Status end();  // all is written (`finish` of the file makes it lasting); add nothing after it

  static constexpr size_t kBlockBytes = size_t{2} << 20;  // two of them a run: the memory it takes

 private:
  struct Blocks;
  OutputFile* file_;
  int64_t offset_;
  std::unique_ptr<Blocks> blocks_;
};

}  // namespace tare
