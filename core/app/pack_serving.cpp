#include "core/app/pack_serving.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>

#include "core/app/checkpoint_weights.hpp"
#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/base/sha256.hpp"
#include "core/bundle/serving_output.hpp"
#include "core/runtime/staging.hpp"

namespace tare {
namespace {

// Plain rows on their way to whoever lays them out, hashed in order as they pass: workers wait for their turn. (The
// threads of make_host_threads take chunks in order, so that the first of those that wait is never kept waiting.)
class HashedRows final : public PlainWeights {
 public:
  HashedRows(const PlainWeights& from, const std::function<bool()>& stop) : from_(from), stop_(stop) {}
  Status check(const WeightDecl& weight) const override { return from_.check(weight); }
  int64_t row_granule(const WeightDecl& weight, const WeightInfo& info) const noexcept override {
    return from_.row_granule(weight, info);
  }
  Status read(const WeightDecl& weight, const WeightInfo& info, int64_t row_begin, int64_t row_end,
              void* out) const override {
    Status status = stop_ && stop_() ? failure(Code::cancelled, "packing was interrupted")
                                     : from_.read(weight, info, row_begin, row_end, out);
    std::unique_lock lock(mutex_);
    if (next_row_ == info.outputs()) return status;  // they passed before
    turn_.wait(lock, [&] { return next_row_ == row_begin || failed_; });
    if (status.ok() && !failed_)
      sha_.add({static_cast<const std::byte*>(out),
                static_cast<size_t>((row_end - row_begin) * info.inputs() * size_of(info.dtype))});
    failed_ = failed_ || !status.ok();
    next_row_ = row_end;
    turn_.notify_all();
    return status;
  }
  std::string sha256() { return sha_.finish(); }  // when all rows have passed

 private:
  const PlainWeights& from_;
  const std::function<bool()>& stop_;
  mutable std::mutex mutex_;
  mutable std::condition_variable turn_;
  mutable Sha256 sha_;
  mutable int64_t next_row_ = 0;
  mutable bool failed_ = false;
};

int64_t plain_bytes(const WeightInfo& info) { return info.outputs() * info.inputs() * size_of(info.dtype); }

class ServingPacker {
 public:
  ServingPacker(const Host& host, const PlannedModel& planned, ServingOutput& out, const ServingPackOptions& options,
                Progress& progress)
      : registry_(host.registry()),
        planned_(planned),
        program_(*planned.description.program),
        source_(*planned.description.checkpoint.weights),
        out_(out),
        options_(options),
        progress_(progress),
        threads_(make_host_threads(options.threads)) {}

  Status pack(int32_t index) {
    const WeightDecl& decl = program_.weights[static_cast<size_t>(index)];
    const WeightInfo info = weight_info(program_, index);
    const Layout& layout = *registry_.layout(planned_.settlement.layouts[static_cast<size_t>(index)]);
    TARE_RETURN_IF_ERROR(source_.check(decl));
    std::unique_ptr<DecodedWeight> decoded;  // a serving bundle is packed again
    TARE_ASSIGN_OR_RETURN(const auto stored, source_.laid_out(decl, info));
    if (stored) {
      TARE_ASSIGN_OR_RETURN(decoded, DecodedWeight::open(info, *stored, registry_, threads_.get()));
    }
    HashedRows rows(decoded != nullptr ? static_cast<const PlainWeights&>(*decoded) : source_, options_.stop);
    TARE_ASSIGN_OR_RETURN(const auto way, WeightOnItsWay::prepare(decl, info, layout, rows, registry_, threads_.get()));
    TARE_ASSIGN_OR_RETURN(const std::span<std::byte> bytes, out_.begin_weight(way.bytes()));
    TARE_RETURN_IF_ERROR(way.write(bytes.data(), threads_.get(), [&](int64_t done) { progress_.advance(done); }));
    if (const Verdict v = layout.check(info, bytes); !v)
      return failure(Code::unsupported, "weight ", decl.name, " as ", layout.id(),
                     " could not be loaded again: ", v.reason);
    TareTensor t;
    t.name = decl.name, t.dtype = std::string(name(info.dtype));
    std::transform(t.dtype.begin(), t.dtype.end(), t.dtype.begin(),
                   [](char c) { return static_cast<char>(std::toupper(c)); });
    for (const Dim& d : info.shape) t.shape.push_back(d.size);
    t.file = TareTensor::kNoFile, t.bytes = plain_bytes(info);
    t.sha = sha256_bytes(rows.sha256());
    t.codec = TareTensor::Codec::layout;
    t.laid.layout = layout.id(), t.laid.version = layout.version();
    t.laid.input_dims = static_cast<uint8_t>(info.input_dims), t.laid.note = way.note();
    if (!way.pays()) t.laid.flags = TareTensor::Laid::kFellBack, ++fell_back_;
    report_.weight_bytes += t.bytes, report_.stored_weight_bytes += way.bytes();
    ++by_layout_[t.laid.layout];
    return out_.end_weight(std::move(t), options_.threads);
  }

  PackReport& report() { return report_; }
  void add_notes(const DeviceInfo& device) {
    std::string layouts;
    for (const auto& [layout, count] : by_layout_)
      layouts += text(layouts.empty() ? "" : ", ", count, " weights in ", layout);
    report_.info.emplace_back("laid out for", text(device.kind, device.name.empty() ? "" : ", " + device.name,
                                                   device.sku.empty() ? "" : " (" + device.sku + ")"));
    report_.info.emplace_back("layouts", layouts);
    if (fell_back_ > 0)
      report_.info.emplace_back("fell back", text(fell_back_, " weights, on which their code does not pay"));
    std::set<std::string_view> used;
    for (const WeightDecl& w : program_.weights) used.insert(w.name);
    int64_t unused = 0;
    for (const StoredTensor& t : planned_.description.checkpoint.weights->tensors()) unused += !used.contains(t.name);
    if (unused > 0) report_.info.emplace_back("left out", text(unused, " tensors that the model does not use"));
  }

 private:
  const Registry& registry_;
  const PlannedModel& planned_;
  const Program& program_;
  const CheckpointWeights source_;
  ServingOutput& out_;
  const ServingPackOptions& options_;
  Progress& progress_;
  const std::unique_ptr<CpuParallel> threads_;
  PackReport report_;
  std::map<std::string, int64_t> by_layout_;
  int64_t fell_back_ = 0;
};

}  // namespace

Result<DeviceInfo> device_to_pack_for(const Host& host, const std::string& name) {
  const std::vector<SkuDescription> table = sku_table(host.tuning_places(), host.log());
  std::string known;
  const auto knows = [&](const std::string& id) { known += text(known.empty() ? "" : ", ", id); };
  std::optional<DeviceInfo> of_kind;
  for (const DeviceProvider* provider : host.plugins().registrations().devices)
    for (DeviceInfo& d : provider->found().devices) {
      knows(d.id);
      if (d.id == name) return with_sku(std::move(d), table);
      if (d.kind == name && !of_kind) of_kind = with_sku(std::move(d), table);
    }
  if (of_kind) return std::move(*of_kind);
  for (const SkuDescription& s : table) {
    knows(s.sku);
    if (s.sku == name) return to_device_info(s);
    if (s.kind == name && !of_kind) of_kind = to_device_info(s);
  }
  if (of_kind) return std::move(*of_kind);
  return failure(Code::not_found, "the device '", printable(name, 80),
                 "' is neither here nor described, expected one of ", known);
}

Result<PackReport> pack_serving(const Host& host, const std::string& source, const std::string& out,
                                const ServingPackOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  TARE_ASSIGN_OR_RETURN(const DeviceInfo device, device_to_pack_for(host, options.device));
  TARE_ASSIGN_OR_RETURN(ModelDescription description, describe_model(host, source, {}));
  LoadOptions load = options.load;
  load.tuning = host.tuning(device);
  // Where the layout is given there is nothing to weigh: a bundle may be packed for a larger machine than this one.
  const int64_t room = presented_bytes(*description.checkpoint.weights) * 4 + (int64_t{64} << 30);
  const int64_t here = device.memory_bytes / 10 * 9;
  const int64_t free = load.memory_bytes > 0 ? load.memory_bytes : load.layout.empty() ? here : std::max(here, room);
  TARE_ASSIGN_OR_RETURN(const PlannedModel planned, plan_model(host, std::move(description), device, free, load));
  TARE_ASSIGN_OR_RETURN(SmallFiles files, open_small_files(source, host.families(), options.exclude));
  TARE_ASSIGN_OR_RETURN(const auto output, ServingOutput::create(out));
  int64_t total = 0;
  const Program& program = *planned.description.program;
  const auto weights = static_cast<int32_t>(program.weights.size());
  for (int32_t w = 0; w < weights; ++w) total += plain_bytes(weight_info(program, w));
  Progress progress("packing", total, options.show_progress && Progress::stderr_is_terminal());
  ServingPacker packer(host, planned, *output, options, progress);
  PackReport& report = packer.report();
  for (const SmallFiles::File& file : files.files) {
    TARE_RETURN_IF_ERROR(output->add_file(file));
    report.plain_bytes += file.bytes;
  }
  for (int32_t w = 0; w < weights; ++w) TARE_RETURN_IF_ERROR(packer.pack(w).in(source));
  std::erase_if(files.info, [](const auto& note) {  // of a serving bundle that is packed again
    return note.first == "laid out for" || note.first == "layouts" || note.first == "fell back";
  });
  report.info = std::move(files.info), report.left_out = std::move(files.left_out);
  packer.add_notes(device);
  report.plain_bytes += report.weight_bytes;
  TARE_ASSIGN_OR_RETURN(report.bundle_bytes, output->finish(report.info));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return std::move(report);
}

}  // namespace tare
