#include "core/runtime/lay_out.hpp"

#include <algorithm>
#include <mutex>
#include <numeric>

#include "core/base/printable.hpp"
#include "core/registry/registry.hpp"

namespace tare {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;   // plain bytes that one worker holds
constexpr int64_t kCopiedBytes = 4 << 20;  // of a laid-out weight that one worker reads at once

// The first pass of a layout that wants two; null for the others.
Result<std::unique_ptr<LayoutPlan>> survey(const WeightDecl& decl, const WeightInfo& info, const Layout& layout,
                                           const PlainWeights& source, CpuParallel* parallel) {
  TARE_ASSIGN_OR_RETURN(const std::unique_ptr<LayoutSurvey> survey, layout.survey(info));
  if (survey == nullptr) return std::unique_ptr<LayoutPlan>();
  TARE_RETURN_IF_ERROR(
      for_rows(decl, info, layout.row_granule(), source, parallel, {},
               [&](int64_t begin, int64_t end, const void* plain) { return survey->look(begin, end, plain); }));
  return survey->finish();
}

int64_t plain_bytes(const WeightInfo& info) { return info.outputs() * info.inputs() * size_of(info.dtype); }

// Every byte of it, its checksums compared.
Status copy(const LaidOutWeight& stored, std::byte* to, int64_t plain, CpuParallel* parallel, const Advance& advance) {
  const auto share = [&](int64_t at) {
    return static_cast<int64_t>(static_cast<double>(plain) * static_cast<double>(at) /
                                static_cast<double>(stored.bytes));
  };
  std::mutex mutex;
  return over_workers((stored.bytes + kCopiedBytes - 1) / kCopiedBytes, parallel, [&](int64_t c) -> Status {
    const int64_t begin = c * kCopiedBytes, end = std::min(stored.bytes, begin + kCopiedBytes);
    TARE_RETURN_IF_ERROR(stored.read(begin, {to + begin, static_cast<size_t>(end - begin)}));
    const std::lock_guard lock(mutex);
    if (advance) advance(share(end) - share(begin));
    return {};
  });
}

}  // namespace

Status refusal_of(const WeightInfo& info, const Layout& layout, const Verdict& verdict) {
  if (verdict) return {};
  return failure(Code::corrupt, "tensor '", printable(info.name, 120), "' cannot be taken as ", layout.id(), ": ",
                 verdict.reason);
}
Status check_laid_out(const WeightInfo& info, const Layout& layout, const LaidOutWeight& stored, const std::byte* at) {
  return refusal_of(info, layout, layout.check(info, {at, static_cast<size_t>(stored.bytes)}));
}

bool is_as_wanted(const WeightInfo& info, const LaidOutWeight& stored, const Layout& layout) {
  return stored.layout == layout.id() && stored.version == layout.version() && stored.bytes <= layout.bytes(info);
}

std::span<std::byte> AlignedBytes::room(int64_t bytes) {
  if (bytes > bytes_) {
    clear();
    data_.reset(static_cast<std::byte*>(::operator new(static_cast<size_t>(bytes), std::align_val_t{kAlignment})));
    bytes_ = bytes;
  }
  return {data_.get(), static_cast<size_t>(bytes)};
}

Status over_workers(int64_t count, CpuParallel* parallel, const std::function<Status(int64_t)>& body) {
  std::mutex mutex;
  Status first_failure;
  const auto some = [&](int64_t begin, int64_t end, int32_t) {
    for (int64_t i = begin; i < end; ++i) {
      Status status = body(i);
      const std::lock_guard lock(mutex);
      if (!status.ok() && first_failure.ok()) first_failure = std::move(status);
      if (!first_failure.ok()) return;
    }
  };
  if (parallel != nullptr)
    parallel->run(count, 1, some);
  else
    some(0, count, 0);
  return first_failure;
}

Status for_rows(const WeightDecl& decl, const WeightInfo& info, int64_t granule, const PlainWeights& source,
                CpuParallel* parallel, const Advance& advance, const UseRows& use) {
  const int64_t row_bytes = info.inputs() * size_of(info.dtype);
  const int64_t rows = info.outputs();
  const int64_t most = std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, row_bytes) / granule) * granule;
  const int64_t whole = std::lcm(granule, source.row_granule(decl, info));
  const int64_t step = most >= whole ? most / whole * whole : most;
  std::mutex mutex;
  return over_workers((rows + step - 1) / step, parallel, [&](int64_t c) -> Status {
    const int64_t row_begin = c * step, row_end = std::min(rows, row_begin + step);
    AlignedBytes plain;
    plain.room((row_end - row_begin) * row_bytes);
    TARE_RETURN_IF_ERROR(source.read(decl, info, row_begin, row_end, plain.data()));
    TARE_RETURN_IF_ERROR(use(row_begin, row_end, plain.data()));
    const std::lock_guard lock(mutex);
    if (advance) advance((row_end - row_begin) * row_bytes);
    return {};
  });
}

Result<std::unique_ptr<DecodedWeight>> DecodedWeight::open(const WeightInfo& info, const LaidOutWeight& stored,
                                                           const Registry& registry, CpuParallel* parallel) {
  const std::string what = text("tensor '", printable(info.name, 120), "' lies as ", printable(stored.layout, 80));
  const Layout* layout = registry.layout(stored.layout);
  if (layout == nullptr) return failure(Code::not_found, what, ", a layout that no plugin brings");
  if (layout->version() != stored.version)
    return failure(Code::unsupported, what, " of version ", stored.version, ", the plugin here has version ",
                   layout->version());
  if (Verdict v = layout->supports(info); !v) return failure(Code::corrupt, what, ", which ", v.reason);
  if (stored.bytes > layout->bytes(info))
    return failure(Code::corrupt, what, " in ", stored.bytes, " bytes, expected at most ", layout->bytes(info));
  auto out = std::unique_ptr<DecodedWeight>(new DecodedWeight);
  out->layout_ = layout;
  TARE_RETURN_IF_ERROR(copy(stored, out->bytes_.room(std::max<int64_t>(1, stored.bytes)).data(), 0, parallel, {}));
  TARE_RETURN_IF_ERROR(check_laid_out(info, *layout, stored, out->bytes_.data()));
  return out;
}
Status DecodedWeight::read(const WeightDecl&, const WeightInfo& info, int64_t row_begin, int64_t row_end,
                           void* out) const {
  return layout_->decode(info, row_begin, row_end, bytes_.data(), out);
}

Result<WeightOnItsWay> WeightOnItsWay::prepare(const WeightDecl& decl, const WeightInfo& info, const Layout& layout,
                                               const PlainWeights& source, const Registry& registry,
                                               CpuParallel* parallel) {
  WeightOnItsWay out;
  out.decl_ = &decl, out.info_ = &info, out.layout_ = &layout, out.source_ = &source, out.registry_ = &registry;
  TARE_ASSIGN_OR_RETURN(out.stored_, source.laid_out(decl, info));
  out.is_copied_ = out.stored_ && is_as_wanted(info, *out.stored_, layout);
  if (out.is_copied_) {
    out.bytes_ = out.stored_->bytes, out.note_ = out.stored_->note, out.pays_ = !out.stored_->fell_back;
    return out;
  }
  std::unique_ptr<DecodedWeight> decoded;
  TARE_ASSIGN_OR_RETURN(const PlainWeights* const plain, out.plain(decoded, parallel));
  TARE_ASSIGN_OR_RETURN(out.plan_, survey(decl, info, layout, *plain, parallel));
  out.bytes_ = out.plan_ != nullptr ? out.plan_->bytes() : layout.bytes(info);
  if (out.plan_ != nullptr) out.note_ = out.plan_->note(), out.pays_ = out.plan_->pays();
  return out;
}

Result<const PlainWeights*> WeightOnItsWay::plain(std::unique_ptr<DecodedWeight>& holder, CpuParallel* parallel) const {
  if (!stored_) return source_;
  TARE_ASSIGN_OR_RETURN(holder, DecodedWeight::open(*info_, *stored_, *registry_, parallel));
  return static_cast<const PlainWeights*>(holder.get());
}

Status WeightOnItsWay::write(std::byte* to, CpuParallel* parallel, const Advance& advance) const {
  if (is_copied()) return copy(*stored_, to, plain_bytes(*info_), parallel, advance);
  std::unique_ptr<DecodedWeight> decoded;
  TARE_ASSIGN_OR_RETURN(const PlainWeights* const from, plain(decoded, parallel));
  return for_rows(*decl_, *info_, layout_->row_granule(), *from, parallel, advance,
                  [&](int64_t begin, int64_t end, const void* rows) {
                    return plan_ != nullptr ? plan_->encode(begin, end, rows, to)
                                            : layout_->encode(*info_, begin, end, rows, to);
                  });
}

Status WeightOnItsWay::check(const std::byte* at) const {
  return is_copied() ? check_laid_out(*info_, *layout_, *stored_, at) : Status();
}

}  // namespace tare
