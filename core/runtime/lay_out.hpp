// One weight on its way into a layout: copied where a file holds it in that layout already, otherwise laid out from
// plain rows; those of a weight that a file holds in another layout come from decoding that one, which is how weights
// get from one order into another. Bytes from files pass Layout::check before anything reads them. [loader]
#pragma once
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>

#include "core/api/device.hpp"
#include "core/api/kernel.hpp"
#include "core/bundle/weight_source.hpp"
#include "core/program/program.hpp"

namespace tare {

class CodedTiles;
class Registry;

// Where weights come from: a checkpoint, or made up in tests. Implementations are [any thread].
class PlainWeights {
 public:
  virtual ~PlainWeights() = default;
  // Is the weight there, of the declared shape and a type that we read? One sentence otherwise.
  virtual Status check(const WeightDecl& weight) const = 0;
  // Rows [row_begin, row_end) of the weight as a matrix of `info`, in info.dtype, packed. Refused for weights that are
  // laid out.
  virtual Status read(const WeightDecl& weight, const WeightInfo& info, int64_t row_begin, int64_t row_end,
                      void* out) const = 0;
  // The weight, all of it, as coded tiles for devices that decode them; null: read() alone gives it.
  virtual std::unique_ptr<CodedTiles> coded(const WeightDecl&, const WeightInfo&) const;
  // Ranges of rows that are multiples of it are read best: a source whose bytes lie in tiles decodes each but once.
  virtual int64_t row_granule(const WeightDecl&, const WeightInfo&) const noexcept { return 1; }
  // The weight as a device has it in memory, where it is stored so. Refused where it is stored so for another shape or
  // type than `info`.
  virtual Result<std::optional<LaidOutWeight>> laid_out(const WeightDecl&, const WeightInfo&) const {
    return std::optional<LaidOutWeight>();
  }
};

// Memory that is not touched before it is used, aligned as device memory is.
class AlignedBytes {
 public:
  static constexpr size_t kAlignment = 4096;
  // Grows to `bytes`; what was there is lost.
  std::span<std::byte> room(int64_t bytes);
  std::byte* data() const noexcept { return data_.get(); }
  void clear() noexcept { data_.reset(), bytes_ = 0; }

 private:
  struct Free {
    void operator()(std::byte* p) const noexcept { ::operator delete(p, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<std::byte, Free> data_;
  int64_t bytes_ = 0;
};

// The layout whose bytes are the plain row-major matrix, nothing more.
inline constexpr std::string_view kPlainRows = "dense/rows";

// Is it stored as `layout` has it in memory? And may kernels be handed its bytes, all of them at `at`?
bool is_as_wanted(const WeightInfo& info, const LaidOutWeight& stored, const Layout& layout);
// The verdict as a Status that names the weight.
Status refusal_of(const WeightInfo& info, const Layout& layout, const Verdict& verdict);
Status check_laid_out(const WeightInfo& info, const Layout& layout, const LaidOutWeight& stored, const std::byte* at);

using Advance = std::function<void(int64_t)>;  // plain bytes that are done

// Plain rows of one weight that a file holds in some layout: decoded from its bytes, which are held in full.
class DecodedWeight final : public PlainWeights {
 public:
  // Reads and checks all of it. not_found: no plugin brings its layout; unsupported: another version of it, or one that
  // does not check bytes; corrupt: bytes that kernels could not be handed. `parallel` may be null.
  static Result<std::unique_ptr<DecodedWeight>> open(const WeightInfo& info, const LaidOutWeight& stored,
                                                     const Registry& registry, CpuParallel* parallel);
  Status check(const WeightDecl&) const override { return {}; }
  Status read(const WeightDecl& weight, const WeightInfo& info, int64_t row_begin, int64_t row_end,
              void* out) const override;
  int64_t row_granule(const WeightDecl&, const WeightInfo&) const noexcept override { return layout_->row_granule(); }

 private:
  DecodedWeight() = default;
  const Layout* layout_ = nullptr;
  AlignedBytes bytes_;
};

class WeightOnItsWay {
 public:
  // Sees the numbers where the layout wants to (and is then asked to write() from the same source). What is referred to
  // must outlive the result.
  static Result<WeightOnItsWay> prepare(const WeightDecl& decl, const WeightInfo& info, const Layout& layout,
                                        const PlainWeights& source, const Registry& registry, CpuParallel* parallel);
  int64_t bytes() const noexcept { return bytes_; }
  const std::string& note() const noexcept { return note_; }  // LayoutPlan::note()
  bool pays() const noexcept { return pays_; }
  bool is_copied() const noexcept { return stored_ && is_copied_; }
  bool is_reordered() const noexcept { return stored_ && !is_copied_; }
  bool was_surveyed() const noexcept { return plan_ != nullptr; }
  // All bytes() of it, to `to`, aligned as device memory is.
  Status write(std::byte* to, CpuParallel* parallel, const Advance& advance) const;
  // After write(): may kernels be handed what was copied? Yes for what was laid out here.
  Status check(const std::byte* at) const;

 private:
  WeightOnItsWay() = default;
  // Plain rows: the source's, or decoded ones, which live as long as `holder`.
  Result<const PlainWeights*> plain(std::unique_ptr<DecodedWeight>& holder, CpuParallel* parallel) const;
  const WeightDecl* decl_ = nullptr;
  const WeightInfo* info_ = nullptr;
  const Layout* layout_ = nullptr;
  const PlainWeights* source_ = nullptr;
  const Registry* registry_ = nullptr;
  std::optional<LaidOutWeight> stored_;
  bool is_copied_ = false;
  std::unique_ptr<LayoutPlan> plan_;
  int64_t bytes_ = 0;
  std::string note_;
  bool pays_ = true;
};

// body(i) for i of 0 to count - 1 over the workers, in that order where `parallel` deals in order; null: here. The
// first failure.
Status over_workers(int64_t count, CpuParallel* parallel, const std::function<Status(int64_t)>& body);

// Calls use(row_begin, row_end, plain) for all rows in chunks over the workers.
using UseRows = std::function<Status(int64_t row_begin, int64_t row_end, const void* plain)>;
Status for_rows(const WeightDecl& decl, const WeightInfo& info, int64_t granule, const PlainWeights& source,
                CpuParallel* parallel, const Advance& advance, const UseRows& use);

}  // namespace tare
