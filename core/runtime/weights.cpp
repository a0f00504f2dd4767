#include "core/runtime/weights.hpp"

#include <algorithm>
#include <map>
#include <mutex>

#include "core/runtime/staged_inputs.hpp"

namespace tare {
namespace {

constexpr int64_t kAlignment = 4096;
int64_t aligned(int64_t n) noexcept { return (n + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace

int64_t resident_bytes(const Program& program, const Settlement& settlement, const Registry& registry,
                       std::span<const int64_t> known) {
  int64_t total = 0;
  for (size_t w = 0; w < program.weights.size(); ++w)
    if (w < known.size() && known[w] > 0)
      total += aligned(known[w]);
    else if (const Layout* layout = registry.layout(settlement.layouts[w]))
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
  std::vector<int64_t> offsets;
  std::vector<WeightOnItsWay> ways;
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
    TARE_RETURN_IF_ERROR(out->load_staged(program, layouts, registry, device, source, label, advance));
    return out;
  }
  for (size_t w = 0; w < layouts.size(); ++w) {
    TARE_ASSIGN_OR_RETURN(
        auto way, WeightOnItsWay::prepare(program.weights[w], out->infos_[w], *layouts[w], source, registry, parallel));
    out->count(static_cast<int32_t>(w), way);
    offsets.push_back(total);
    total += aligned(way.bytes());
    ways.push_back(std::move(way));
  }
  TARE_ASSIGN_OR_RETURN(out->buffer_,
                        device.allocate(static_cast<size_t>(std::max<int64_t>(total, 1)), Purpose::weights, label));
  auto* base = static_cast<std::byte*>(out->buffer_->data());
  for (size_t w = 0; w < ways.size(); ++w) {
    std::byte* const to = base + offsets[w];
    TARE_RETURN_IF_ERROR(ways[w].write(to, parallel, advance));
    out->views_.push_back({.data = to,
                           .bytes = ways[w].bytes(),
                           .layout = layouts[w]->id(),
                           .info = &out->infos_[w],
                           .decoder = layouts[w],
                           .head = to});
  }
  TARE_RETURN_IF_ERROR(over_workers(static_cast<int64_t>(ways.size()), parallel, [&](int64_t w) {
    return ways[static_cast<size_t>(w)].check(base + offsets[static_cast<size_t>(w)]);
  }));
  out->bytes_ = static_cast<int64_t>(out->buffer_->bytes());
  return out;
}

void ResidentWeights::count(int32_t weight, const WeightOnItsWay& loaded) {
  notes_.push_back(loaded.note());
  if (!loaded.pays()) fell_back_.push_back(weight);
  num_copied_ += loaded.is_copied(), num_reordered_ += loaded.is_reordered();
}

std::unique_ptr<CodedTiles> PlainWeights::coded(const WeightDecl&, const WeightInfo&) const { return nullptr; }

// A weight after the other: laid out by the device itself where its layout can, from plain numbers that are on their
// way while those before are worked on; otherwise laid out, or copied from a file that has it so, in host memory and
// sent. Each has a device buffer of its own, of exactly its bytes.
Status ResidentWeights::load_staged(const Program& program, std::span<const Layout* const> layouts,
                                    const Registry& registry, Device& device, const PlainWeights& source,
                                    std::string_view label, const Advance& told) {
  std::mutex telling;  // the inputs' threads tell of rows beside those that are laid out here
  const Advance advance = [&](int64_t bytes) {
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
    TARE_ASSIGN_OR_RETURN(const auto stored, source.laid_out(program.weights[w], infos_[w]));
    if (stored) continue;
    encoder_of[w] = at->second.get();
    staged.push_back({&program.weights[w], &infos_[w]});
  }
  std::unique_ptr<StagedInputs> inputs;
  if (!staged.empty()) {
    TARE_ASSIGN_OR_RETURN(inputs, StagedInputs::create(device, std::move(staged), source, label, advance));
  }
  AlignedBytes laid_out;
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
      TARE_ASSIGN_OR_RETURN(const auto way,
                            WeightOnItsWay::prepare(decl, info, layout, source, registry, threads.get()));
      const std::span<std::byte> bytes = laid_out.room(std::max<int64_t>(way.bytes(), 1));
      TARE_RETURN_IF_ERROR(way.write(bytes.data(), threads.get(), advance));
      TARE_RETURN_IF_ERROR(way.check(bytes.data()));
      TARE_ASSIGN_OR_RETURN(buffer, device.allocate(bytes.size(), Purpose::weights, label));
      TARE_RETURN_IF_ERROR(uploader->copy(buffer->data(), bytes.data(), bytes.size()));
      count(static_cast<int32_t>(w), way);
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
