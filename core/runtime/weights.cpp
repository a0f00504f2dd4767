#include "core/runtime/weights.hpp"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <numeric>

#include "core/runtime/staged_inputs.hpp"

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

std::unique_ptr<CodedTiles> PlainWeights::coded(const WeightDecl&, const WeightInfo&) const { return nullptr; }

// A weight after the other: laid out by the device itself where its layout can, from plain numbers that are on their
// way while those before are worked on; otherwise laid out in host memory and sent. Each has a device buffer of its
// own, of exactly its bytes.
Status ResidentWeights::load_staged(const Program& program, std::span<const Layout* const> layouts, Device& device,
                                    const PlainWeights& source, std::string_view label,
                                    const std::function<void(int64_t)>& told) {
  std::mutex telling;  // the inputs' threads tell of rows beside those that are laid out here
  const std::function<void(int64_t)> advance = [&](int64_t bytes) {
    const std::lock_guard lock(telling);
    if (told) told(bytes);
  };
  const auto threads = make_host_threads(0);
  TARE_ASSIGN_OR_RETURN(const auto uploader, Uploader::create(device, 1));
  std::map<const Layout*, std::unique_ptr<DeviceEncoder>> encoders;
  std::vector<StagedInputs::Weight> staged;
  std::vector<DeviceEncoder*> encoder_of(layouts.size());  // null: laid out in host memory
  for (size_t w = 0; w < layouts.size(); ++w) {
    auto at = encoders.find(layouts[w]);
    if (at == encoders.end()) {
      TARE_ASSIGN_OR_RETURN(auto made, layouts[w]->device_encoder(device));
      at = encoders.emplace(layouts[w], std::move(made)).first;
    }
    if (at->second == nullptr || !StagedInputs::takes(infos_[w])) continue;
    encoder_of[w] = at->second.get();
    staged.push_back({&program.weights[w], &infos_[w]});
  }
  std::unique_ptr<StagedInputs> inputs;
  if (!staged.empty()) {
    TARE_ASSIGN_OR_RETURN(inputs, StagedInputs::create(device, std::move(staged), source, label, advance));
  }
  std::vector<std::byte> laid_out;
  heads_.resize(layouts.size());
  for (size_t w = 0; w < layouts.size(); ++w) {
    const WeightDecl& decl = program.weights[w];
    const WeightInfo& info = infos_[w];
    const Layout& layout = *layouts[w];
    std::unique_ptr<Buffer> buffer;
    if (encoder_of[w] != nullptr) {
      TARE_ASSIGN_OR_RETURN(const void* const plain, inputs->next(uploader->stream()));
      TARE_ASSIGN_OR_RETURN(auto encoded, encoder_of[w]->encode(uploader->stream(), info, plain, label));
      TARE_RETURN_IF_ERROR(inputs->done(uploader->stream()));
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
