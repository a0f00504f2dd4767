#include "core/runtime/weights.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <numeric>

#include "core/runtime/staged_inputs.hpp"
#include "core/runtime/staging.hpp"

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
    out->count(static_cast<int32_t>(w), facts_of(way));
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

ResidentWeights::Facts ResidentWeights::facts_of(const WeightOnItsWay& way) {
  return {way.note(), way.pays(), way.is_copied(), way.is_reordered()};
}

void ResidentWeights::count(int32_t weight, Facts facts) {
  notes_.push_back(std::move(facts.note));
  if (!facts.pays) fell_back_.push_back(weight);
  num_copied_ += facts.is_copied, num_reordered_ += facts.is_reordered;
}

std::unique_ptr<CodedTiles> PlainWeights::coded(const WeightDecl&, const WeightInfo&) const { return nullptr; }

// The long ones first: the last weight is laid out when nothing travels any more, and should be short. Of those, the
// ones that the device lays out come before the ones that stay as they arrive, which travel meanwhile.
static std::vector<size_t> in_order_of_travel(std::span<const WeightInfo> infos,
                                              std::span<const Layout* const> layouts) {
  std::vector<size_t> order(infos.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto bytes = [&](size_t w) { return infos[w].outputs() * infos[w].inputs() * size_of(infos[w].dtype); };
  int64_t longest = 0;
  for (const size_t w : order) longest = std::max(longest, bytes(w));
  const auto group = [&](size_t w) { return 2 * bytes(w) <= longest ? 2 : layouts[w]->id() == kPlainRows ? 1 : 0; };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return group(a) < group(b); });
  return order;
}

// A weight after the other, while the next ones are on their way: laid out by the device itself where its layout can;
// sent to its place where rows, or what a file holds, are what it will be there; otherwise laid out in host memory and
// sent. Each has a device buffer of its own, of exactly its bytes.
Status ResidentWeights::load_staged(const Program& program, std::span<const Layout* const> layouts,
                                    const Registry& registry, Device& device, const PlainWeights& source,
                                    std::string_view label, const Advance& told) {
  std::mutex telling;  // the inputs' threads tell of rows beside those that are laid out here
  const Advance advance = [&](int64_t bytes) {
    const std::lock_guard lock(telling);
    if (told) told(bytes);
  };
  TARE_ASSIGN_OR_RETURN(const auto uploader, Uploader::create(device));
  Stream& stream = uploader->stream();
  std::map<const Layout*, std::unique_ptr<DeviceEncoder>> encoders;
  const std::vector<size_t> order = in_order_of_travel(infos_, layouts);
  std::vector<StagedInputs::Weight> staged;
  std::vector<bool> is_staged(layouts.size());  // the others: laid out in host memory
  std::vector<Facts> facts(layouts.size());
  for (const size_t w : order) {
    const Layout& layout = *layouts[w];
    StagedInputs::Weight weight{&program.weights[w], &infos_[w]};
    TARE_ASSIGN_OR_RETURN(weight.stored, source.laid_out(program.weights[w], infos_[w]));
    if (weight.stored) {
      if (!is_as_wanted(infos_[w], *weight.stored, layout) || !StagedInputs::takes(infos_[w], *weight.stored, layout))
        continue;
      weight.resident = &layout;
      facts[w] = {.note = weight.stored->note, .pays = !weight.stored->fell_back, .is_copied = true};
    } else if (!StagedInputs::takes(infos_[w])) {
      continue;
    } else if (layout.id() == kPlainRows) {
      weight.resident = &layout;
    } else {
      auto at = encoders.find(&layout);
      if (at == encoders.end()) {
        TARE_ASSIGN_OR_RETURN(auto made, layout.device_encoder(device));
        at = encoders.emplace(&layout, std::move(made)).first;
      }
      if (at->second == nullptr) continue;
    }
    is_staged[w] = true;
    staged.push_back(std::move(weight));
  }
  std::unique_ptr<StagedInputs> inputs;
  if (!staged.empty()) {
    TARE_ASSIGN_OR_RETURN(inputs, StagedInputs::create(device, std::move(staged), source, label, advance));
  }
  std::unique_ptr<CpuParallel> threads;
  AlignedBytes laid_out;
  buffers_.resize(layouts.size()), heads_.resize(layouts.size());
  for (const size_t w : order) {
    const Layout& layout = *layouts[w];
    std::unique_ptr<Buffer>& buffer = buffers_[w];
    if (is_staged[w]) {
      TARE_ASSIGN_OR_RETURN(StagedInputs::Arrived arrived, inputs->next());
      buffer = std::move(arrived.buffer);
      if (buffer == nullptr) {
        TARE_ASSIGN_OR_RETURN(auto encoded, encoders.at(&layout)->encode(stream, infos_[w], arrived.rows, label));
        buffer = std::move(encoded.buffer);
        facts[w] = {.note = std::move(encoded.note), .pays = encoded.pays};
      }
      inputs->done();
    } else {
      if (threads == nullptr) threads = make_host_threads(0);
      TARE_ASSIGN_OR_RETURN(const auto way, WeightOnItsWay::prepare(program.weights[w], infos_[w], layout, source,
                                                                    registry, threads.get()));
      const std::span<std::byte> bytes = laid_out.room(std::max<int64_t>(way.bytes(), 1));
      TARE_RETURN_IF_ERROR(way.write(bytes.data(), threads.get(), advance));
      TARE_RETURN_IF_ERROR(way.check(bytes.data()));
      TARE_ASSIGN_OR_RETURN(buffer, device.allocate(bytes.size(), Purpose::weights, label));
      TARE_RETURN_IF_ERROR(uploader->copy(buffer->data(), bytes.data(), bytes.size()));
      facts[w] = facts_of(way);
    }
    heads_[w].resize(std::min(buffer->bytes(), static_cast<size_t>(kWeightHeadBytes)));
    TARE_RETURN_IF_ERROR(device.copy_out(stream, heads_[w].data(), buffer->data(), heads_[w].size()));
  }
  for (size_t w = 0; w < layouts.size(); ++w) {
    count(static_cast<int32_t>(w), std::move(facts[w]));
    bytes_ += static_cast<int64_t>(buffers_[w]->bytes());
  }
  for (size_t w = 0; w < layouts.size(); ++w)
    views_.push_back({.data = buffers_[w]->data(),
                      .bytes = static_cast<int64_t>(buffers_[w]->bytes()),
                      .layout = layouts[w]->id(),
                      .info = &infos_[w],
                      .decoder = layouts[w],
                      .head = heads_[w].data()});
  return uploader->finish();
}

}  // namespace tare
