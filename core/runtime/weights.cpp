#include "core/runtime/weights.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <numeric>

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
  const int64_t rows = info.outputs(), most = std::max<int64_t>(1, kChunkBytes / row_bytes / granule) * granule;
  const int64_t whole = std::lcm(granule, source.row_granule(decl, info));
  const int64_t step = most >= whole ? most / whole * whole : most;
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
  if (!device.host_addressable()) {
    TARE_RETURN_IF_ERROR(out->load_staged(program, layouts, device, source, label, advance));
    return out;
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
  for (size_t w = 0; w < program.weights.size(); ++w) {
    const WeightInfo& info = out->infos_[w];
    std::byte* const to = base + offsets[w];
    TARE_RETURN_IF_ERROR(for_rows(program.weights[w], info, layouts[w]->row_granule(), source, parallel, advance,
                                  [&](int64_t begin, int64_t end, const void* plain) {
                                    return plans[w] != nullptr ? plans[w]->encode(begin, end, plain, to)
                                                               : layouts[w]->encode(info, begin, end, plain, to);
                                  }));
    out->views_.push_back({.data = to,
                           .bytes = sizes[w],
                           .layout = layouts[w]->id(),
                           .info = &out->infos_[w],
                           .decoder = layouts[w],
                           .head = to});
  }
  out->bytes_ = static_cast<int64_t>(out->buffer_->bytes());
  return out;
}

namespace {

// Plain rows of a weight into device memory at `to`, read straight into pinned buffers.
Status send_plain(const WeightDecl& decl, const WeightInfo& info, const PlainWeights& source, CpuParallel& threads,
                  Uploader& uploader, std::byte* to, const std::function<void(int64_t)>& advance) {
  const int64_t row_bytes = info.inputs() * size_of(info.dtype), rows = info.outputs();
  const int64_t most = static_cast<int64_t>(Uploader::kChunkBytes) / row_bytes, whole = source.row_granule(decl, info);
  const int64_t step = most >= whole ? most / whole * whole : most;
  std::mutex mutex;
  Status first_failure;
  threads.run((rows + step - 1) / step, 1, [&](int64_t begin, int64_t end, int32_t worker) {
    for (int64_t c = begin; c < end; ++c) {
      const int64_t row = c * step, last = std::min(rows, row + step);
      const auto bytes = static_cast<size_t>((last - row) * row_bytes);
      const auto send = [&]() -> Status {
        TARE_ASSIGN_OR_RETURN(std::byte* const place, uploader.room(worker));
        TARE_RETURN_IF_ERROR(source.read(decl, info, row, last, place));
        return uploader.send(worker, to + row * row_bytes, bytes);
      };
      Status status = send();
      const std::lock_guard lock(mutex);
      if (!status.ok() && first_failure.ok()) first_failure = std::move(status);
      if (advance) advance(static_cast<int64_t>(bytes));
    }
  });
  return first_failure;
}

}  // namespace

// A weight after the other: laid out by the device itself where its layout can, from plain numbers in a buffer that all
// weights share; otherwise laid out in host memory and sent. Each has a device buffer of its own, of exactly its bytes.
Status ResidentWeights::load_staged(const Program& program, std::span<const Layout* const> layouts, Device& device,
                                    const PlainWeights& source, std::string_view label,
                                    const std::function<void(int64_t)>& advance) {
  const auto threads = make_host_threads(0);
  TARE_ASSIGN_OR_RETURN(const auto uploader, Uploader::create(device, threads->threads()));
  std::map<const Layout*, std::unique_ptr<DeviceEncoder>> encoders;
  std::unique_ptr<Buffer> plain;
  std::vector<std::byte> laid_out;
  heads_.resize(layouts.size());
  for (size_t w = 0; w < layouts.size(); ++w) {
    const WeightDecl& decl = program.weights[w];
    const WeightInfo& info = infos_[w];
    const Layout& layout = *layouts[w];
    auto at = encoders.find(&layout);
    if (at == encoders.end()) {
      TARE_ASSIGN_OR_RETURN(auto made, layout.device_encoder(device));
      at = encoders.emplace(&layout, std::move(made)).first;
    }
    const int64_t row_bytes = info.inputs() * size_of(info.dtype), plain_bytes = info.outputs() * row_bytes;
    std::unique_ptr<Buffer> buffer;
    if (at->second != nullptr && row_bytes <= static_cast<int64_t>(Uploader::kChunkBytes)) {
      if (plain == nullptr || static_cast<int64_t>(plain->bytes()) < plain_bytes) {
        plain.reset();
        TARE_ASSIGN_OR_RETURN(plain, device.allocate(static_cast<size_t>(plain_bytes), Purpose::staging, label));
      }
      TARE_RETURN_IF_ERROR(
          send_plain(decl, info, source, *threads, *uploader, static_cast<std::byte*>(plain->data()), advance));
      TARE_ASSIGN_OR_RETURN(auto encoded, at->second->encode(uploader->stream(), info, plain->data(), label));
      buffer = std::move(encoded.buffer);
      notes_.push_back(std::move(encoded.note));
      if (!encoded.pays) fell_back_.push_back(static_cast<int32_t>(w));
    } else {
      TARE_ASSIGN_OR_RETURN(const auto plan, survey(decl, info, layout, source, threads.get()));
      laid_out.resize(static_cast<size_t>(plan != nullptr ? plan->bytes() : layout.bytes(info)));
      TARE_RETURN_IF_ERROR(for_rows(decl, info, layout.row_granule(), source, threads.get(), advance,
                                    [&](int64_t begin, int64_t end, const void* rows) {
                                      return plan != nullptr ? plan->encode(begin, end, rows, laid_out.data())
                                                             : layout.encode(info, begin, end, rows, laid_out.data());
                                    }));
      TARE_ASSIGN_OR_RETURN(buffer, device.allocate(std::max<size_t>(laid_out.size(), 1), Purpose::weights, label));
      TARE_RETURN_IF_ERROR(uploader->copy(buffer->data(), laid_out.data(), laid_out.size()));
      notes_.push_back(plan != nullptr ? plan->note() : std::string());
      if (plan != nullptr && !plan->pays()) fell_back_.push_back(static_cast<int32_t>(w));
    }
    const auto bytes = static_cast<int64_t>(buffer->bytes());
    heads_[w].resize(static_cast<size_t>(std::min(bytes, kWeightHeadBytes)));
    TARE_RETURN_IF_ERROR(device.copy_out(uploader->stream(), heads_[w].data(), buffer->data(), heads_[w].size()));
    TARE_RETURN_IF_ERROR(uploader->finish());
    views_.push_back({.data = buffer->data(),
                      .bytes = bytes,
                      .layout = layout.id(),
                      .info = &info,
                      .decoder = &layout,
                      .head = heads_[w].data()});
    bytes_ += bytes;
    buffers_.push_back(std::move(buffer));
  }
  return {};
}

}  // namespace tare
