#include "core/runtime/weights.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>

#include "core/runtime/staging.hpp"

namespace tare {
namespace {

constexpr int64_t kAlignment = 4096;
constexpr int64_t kChunkBytes = 1 << 20;  // plain bytes that one worker holds

int64_t aligned(int64_t n) noexcept { return (n + kAlignment - 1) / kAlignment * kAlignment; }

// Reads one weight, chunks of rows over the workers, and hands each to use(row_begin, row_end, plain).
template <class Use>
Status for_rows(const WeightDecl& decl, const WeightInfo& info, int64_t granule, const PlainWeights& source,
                CpuParallel* parallel, const std::function<void(int64_t)>& advance, const Use& use) {
  const int64_t row_bytes = info.inputs() * size_of(info.dtype);
  const int64_t rows = info.outputs(), step = std::max<int64_t>(1, kChunkBytes / row_bytes / granule) * granule;
  const int64_t chunks = (rows + step - 1) / step;
  std::mutex mutex;
  Status first_failure;
  const auto body = [&](int64_t begin, int64_t end, int32_t) {
    std::vector<std::byte> plain(static_cast<size_t>(std::min(step, rows) * row_bytes));
    for (int64_t c = begin; c < end; ++c) {
      const int64_t row_begin = c * step, row_end = std::min(rows, row_begin + step);
      Status status = source.read(decl, info, row_begin, row_end, plain.data());
      if (status.ok()) status = use(row_begin, row_end, plain.data());
      const std::lock_guard lock(mutex);
      if (!status.ok() && first_failure.ok()) first_failure = std::move(status);
      if (advance) advance((row_end - row_begin) * row_bytes);
    }
  };
  if (parallel != nullptr)
    parallel->run(chunks, 1, body);
  else
    body(0, chunks, 0);
  return first_failure;
}

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

}  // namespace

int64_t resident_bytes(const Program& program, const Settlement& settlement, const Registry& registry) {
  int64_t total = 0;
  for (size_t w = 0; w < program.weights.size(); ++w)
    if (const Layout* layout = registry.layout(settlement.layouts[w]))
      total += aligned(layout->expected_bytes(weight_info(program, static_cast<int32_t>(w))));
  return total;
}

Result<std::unique_ptr<ResidentWeights>> ResidentWeights::load(const Program& program, const Settlement& settlement,
                                                               const Registry& registry, Device& device,
                                                               const PlainWeights& source, std::string_view label,
                                                               const std::function<void(int64_t)>& advance) {
  auto out = std::unique_ptr<ResidentWeights>(new ResidentWeights);
  auto* parallel = static_cast<CpuParallel*>(device.query(CpuParallel::kInterface));
  const std::unique_ptr<CpuParallel> host_threads = parallel == nullptr ? make_host_threads(0) : nullptr;
  if (parallel == nullptr) parallel = host_threads.get();
  std::vector<const Layout*> layouts;
  std::vector<int64_t> offsets, sizes;
  std::vector<std::unique_ptr<LayoutPlan>> plans;
  int64_t total = 0;
  for (size_t w = 0; w < program.weights.size(); ++w) {
    TARE_RETURN_IF_ERROR(source.check(program.weights[w]));
    out->infos_.push_back(weight_info(program, static_cast<int32_t>(w)));
    const Layout* layout = registry.layout(settlement.layouts[w]);
    if (layout == nullptr)
      return failure(Code::unsupported, "weight ", program.weights[w].name, ": no plugin brings layout ",
                     settlement.layouts[w]);
    if (Verdict v = layout->supports(out->infos_.back()); !v)
      return failure(Code::unsupported, "weight ", program.weights[w].name, ": layout ", layout->id(), ": ", v.reason);
    layouts.push_back(layout);
  }
  for (size_t w = 0; w < layouts.size(); ++w) {
    const WeightInfo& info = out->infos_[w];
    TARE_ASSIGN_OR_RETURN(auto plan, survey(program.weights[w], info, *layouts[w], source, parallel));
    sizes.push_back(plan != nullptr ? plan->bytes() : layouts[w]->bytes(info));
    out->notes_.push_back(plan != nullptr ? plan->note() : std::string());
    if (plan != nullptr && !plan->pays()) out->fell_back_.push_back(static_cast<int32_t>(w));
    plans.push_back(std::move(plan));
    offsets.push_back(total);
    total += aligned(sizes.back());
  }
  TARE_ASSIGN_OR_RETURN(out->buffer_,
                        device.allocate(static_cast<size_t>(std::max<int64_t>(total, 1)), Purpose::weights, label));
  auto* base = static_cast<std::byte*>(out->buffer_->data());
  // Where the host does not read the device, a weight is laid out in host memory and sent, one after the other.
  std::unique_ptr<Uploader> uploader;
  std::vector<std::byte> laid_out;
  if (!device.host_addressable()) {
    TARE_ASSIGN_OR_RETURN(uploader, Uploader::create(device));
    out->heads_.resize(program.weights.size());
  }
  for (size_t w = 0; w < program.weights.size(); ++w) {
    const WeightInfo& info = out->infos_[w];
    std::byte* const to = base + offsets[w];
    if (uploader != nullptr) laid_out.resize(static_cast<size_t>(sizes[w]));
    std::byte* const host = uploader != nullptr ? laid_out.data() : to;
    TARE_RETURN_IF_ERROR(for_rows(program.weights[w], info, layouts[w]->row_granule(), source, parallel, advance,
                                  [&](int64_t begin, int64_t end, const void* plain) {
                                    return plans[w] != nullptr ? plans[w]->encode(begin, end, plain, host)
                                                               : layouts[w]->encode(info, begin, end, plain, host);
                                  }));
    const void* head = to;
    if (uploader != nullptr) {
      TARE_RETURN_IF_ERROR(uploader->copy(to, host, laid_out.size()));
      const auto kept = std::min(laid_out.size(), static_cast<size_t>(kWeightHeadBytes));
      out->heads_[w].assign(host, host + kept);
      head = out->heads_[w].data();
    }
    out->views_.push_back({.data = to,
                           .bytes = sizes[w],
                           .layout = layouts[w]->id(),
                           .info = &out->infos_[w],
                           .decoder = layouts[w],
                           .head = head});
  }
  if (uploader != nullptr) TARE_RETURN_IF_ERROR(uploader->finish());
  return out;
}

}  // namespace tare
