#include "autotune/run/bench.hpp"

#include <algorithm>
#include <cstring>
#include <thread>

#include "autotune/run/numbers.hpp"
#include "autotune/run/problems.hpp"
#include "core/base/parallel.hpp"

namespace tare {
namespace {

constexpr int64_t kAlignment = 4096, kMostCopies = 4096, kMostCodedCopies = 64;
constexpr uint8_t kUnwritten = 0x77;

int64_t aligned(int64_t n) noexcept { return (n + kAlignment - 1) / kAlignment * kAlignment; }

Status grow(Device& device, std::unique_ptr<Buffer>& buffer, int64_t bytes, Purpose purpose, std::string_view label) {
  if (buffer != nullptr && static_cast<int64_t>(buffer->bytes()) >= bytes) return {};
  buffer.reset();
  TARE_ASSIGN_OR_RETURN(buffer, device.allocate(static_cast<size_t>(std::max<int64_t>(bytes, 1)), purpose, label));
  return {};
}

// Rows of the matrix in pieces over the host's cores; the first failure.
Status over_rows(int64_t rows, int64_t granule, const std::function<Status(int64_t, int64_t)>& body) {
  const int64_t granules = (rows + granule - 1) / granule;
  const int64_t step =
      granule * std::max<int64_t>(1, granules / (4 * std::max(1u, std::thread::hardware_concurrency())));
  return parallel_for(static_cast<size_t>((rows + step - 1) / step), 0, [&](size_t piece) {
    const int64_t begin = static_cast<int64_t>(piece) * step;
    return body(begin, std::min(rows, begin + step));
  });
}

}  // namespace

Result<std::vector<std::byte>> laid_like_trained(const WeightInfo& info, const Layout& layout, uint64_t seed,
                                                 Device& device, Stream& stream) {
  const int64_t rows = info.outputs(), row_bytes = info.inputs() * size_of(info.dtype);
  const int64_t granule = std::max<int64_t>(1, layout.row_granule());
  std::vector<std::byte> plain(static_cast<size_t>(rows * row_bytes));
  TARE_RETURN_IF_ERROR(over_rows(rows, granule, [&](int64_t begin, int64_t end) {
    fill_trained_like(info.dtype, begin, end, info.inputs(), seed, plain.data() + begin * row_bytes);
    return Status();
  }));
  std::vector<std::byte> out;
  TARE_ASSIGN_OR_RETURN(const auto on_device, layout.device_encoder(device));
  if (on_device != nullptr) {
    TARE_ASSIGN_OR_RETURN(const auto raw, device.allocate(plain.size(), Purpose::staging, "tuning/plain"));
    TARE_RETURN_IF_ERROR(device.copy_in(stream, raw->data(), plain.data(), plain.size()));
    TARE_ASSIGN_OR_RETURN(const auto encoded, on_device->encode(stream, info, raw->data(), "tuning/encoded"));
    out.resize(encoded.buffer->bytes());
    TARE_RETURN_IF_ERROR(device.copy_out(stream, out.data(), encoded.buffer->data(), out.size()));
    TARE_RETURN_IF_ERROR(stream.synchronize());
    return out;
  }
  TARE_ASSIGN_OR_RETURN(const std::unique_ptr<LayoutSurvey> survey, layout.survey(info));
  std::unique_ptr<LayoutPlan> plan;
  if (survey != nullptr) {
    TARE_RETURN_IF_ERROR(over_rows(rows, granule, [&](int64_t begin, int64_t end) {
      return survey->look(begin, end, plain.data() + begin * row_bytes);
    }));
    TARE_ASSIGN_OR_RETURN(plan, survey->finish());
  }
  out.resize(static_cast<size_t>(plan != nullptr ? plan->bytes() : layout.bytes(info)));
  TARE_RETURN_IF_ERROR(over_rows(rows, granule, [&](int64_t begin, int64_t end) {
    const std::byte* const from = plain.data() + begin * row_bytes;
    return plan != nullptr ? plan->encode(begin, end, from, out.data())
                           : layout.encode(info, begin, end, from, out.data());
  }));
  return out;
}

struct ProblemBench::Weight {
  const WeightInfo* info = nullptr;
  const Layout* layout = nullptr;
  std::vector<std::byte> host;             // as it lies; or
  std::unique_ptr<DeviceEncoder> encoder;  // the device lays it out,
  std::unique_ptr<Buffer> plain;           // from these numbers,
  std::unique_ptr<Buffer> first;           // and has done so once
  int64_t bytes() const {
    return first != nullptr ? static_cast<int64_t>(first->bytes()) : static_cast<int64_t>(host.size());
  }
};

Result<std::unique_ptr<ProblemBench>> ProblemBench::create(Device& device, const Registry& registry,
                                                           const Problem& problem, std::string_view layout,
                                                           int64_t most_rows, int64_t cold_bytes, BenchMemory& memory) {
  auto out = std::unique_ptr<ProblemBench>(new ProblemBench(device, registry, problem, memory));
  TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  TARE_RETURN_IF_ERROR(out->lay_weights(layout, cold_bytes));
  TARE_RETURN_IF_ERROR(out->lay_tensors(most_rows));
  return out;
}

Result<ProblemBench::Weight> ProblemBench::lay(const WeightInfo& info, std::string_view layout, bool matrix,
                                               uint64_t seed) {
  Weight out{.info = &info, .layout = registry_.layout(layout), .host = {}, .encoder = {}, .plain = {}, .first = {}};
  if (out.layout == nullptr) return failure(Code::unsupported, "no plugin brings the layout ", layout);
  if (Verdict v = out.layout->supports(info); !v) return failure(Code::unsupported, layout, ": ", v.reason);
  if (memory_.data != nullptr && matrix && info.dtype == DType::bf16) {
    TARE_ASSIGN_OR_RETURN(out.encoder, out.layout->device_encoder(device_));
  }
  if (out.encoder == nullptr) {
    TARE_ASSIGN_OR_RETURN(out.host, laid_like_trained(info, *out.layout, seed, device_, *stream_));
    return out;
  }
  TARE_ASSIGN_OR_RETURN(out.plain, device_.allocate(static_cast<size_t>(info.outputs() * info.inputs() * 2),
                                                    Purpose::staging, "tuning/plain"));
  TARE_RETURN_IF_ERROR(
      memory_.data->fill_weights(*stream_, info.outputs(), info.inputs(), seed, false, out.plain->data()));
  TARE_ASSIGN_OR_RETURN(auto encoded, out.encoder->encode(*stream_, info, out.plain->data(), "tuning/weights"));
  out.first = std::move(encoded.buffer);
  return out;
}

Status ProblemBench::lay_weights(std::string_view layout, int64_t cold_bytes) {
  std::vector<std::optional<Weight>> laid;
  int64_t step = 0, coded = 0;  // bytes of a copy, from the host and from the device
  for (const ProblemOp& op : problem_.ops)
    for (size_t i = 0; i < op.weights.size(); ++i) {
      laid.emplace_back();
      if (!op.weights[i]) continue;
      const WeightInfo& info = *op.weights[i];
      const bool matrix = is_matrix(op, i);
      TARE_ASSIGN_OR_RETURN(laid.back(), lay(info, matrix ? layout : "dense/rows", matrix, laid.size()));
      const int64_t bytes = laid.back()->bytes();
      (laid.back()->encoder != nullptr ? coded : step) += aligned(bytes);
      if (!matrix) continue;
      matrix_bytes_ += bytes;
      flops_per_row_ += 2.0 * static_cast<double>(info.outputs()) * static_cast<double>(info.inputs());
    }
  if (step + coded == 0) return invalid("the problem has no weights");
  int64_t copies = std::clamp<int64_t>(cold_bytes / (step + coded) + 1, 1, coded > 0 ? kMostCodedCopies : kMostCopies);
  // A device that has less room holds fewer: the figures are warmer then, never missing.
  for (Status status;
       !(status = grow(device_, memory_.weights, copies * step, Purpose::weights, "tuning/weights")).ok();
       copies = (copies + 1) / 2)
    if (copies == 1) return status;
  auto* const base = static_cast<std::byte*>(memory_.weights->data());
  for (auto& one : laid) {
    auto& head = heads_.emplace_back();
    if (!one) continue;
    head.resize(static_cast<size_t>(std::min<int64_t>(kWeightHeadBytes, one->bytes())));
    if (one->first == nullptr) {
      std::copy_n(one->host.begin(), head.size(), head.begin());
    } else {
      TARE_RETURN_IF_ERROR(device_.copy_out(*stream_, head.data(), one->first->data(), head.size()));
      TARE_RETURN_IF_ERROR(stream_->synchronize());
    }
  }
  for (int64_t c = 0; c < copies; ++c) {
    std::vector<WeightView> views;
    std::byte* to = base + c * step;
    for (size_t w = 0; w < laid.size(); ++w) {
      views.emplace_back();
      if (!laid[w]) continue;
      Weight& weight = *laid[w];
      views.back() = {.data = to,
                      .bytes = weight.bytes(),
                      .layout = weight.layout->id(),
                      .info = weight.info,
                      .decoder = weight.layout,
                      .head = heads_[w].data()};
      if (weight.encoder == nullptr) {
        TARE_RETURN_IF_ERROR(device_.copy_in(*stream_, to, weight.host.data(), weight.host.size()));
        to += aligned(weight.bytes());
        continue;
      }
      if (c == 0) {
        views.back().data = weight.first->data();
        continue;
      }
      auto again = weight.encoder->encode(*stream_, *weight.info, weight.plain->data(), "tuning/weights");
      if (!again.ok() && again.status().code() == Code::exhausted) return stream_->synchronize();  // fewer copies
      if (!again.ok()) return std::move(again).status();
      views.back().data = again->buffer->data();
      coded_.push_back(std::move(again->buffer));
    }
    copies_.push_back(std::move(views));
  }
  for (auto& one : laid)
    if (one && one->first != nullptr) coded_.push_back(std::move(one->first));
  return stream_->synchronize();
}

Status ProblemBench::lay_tensors(int64_t most_rows) {
  most_rows_ = most_rows;
  const auto part_of = [&](const TensorInfo& info, int64_t& total) {
    Part part{info, total, size_of(info.dtype)};
    for (size_t i = 0; i < info.shape.size(); ++i)
      if (i > 0 || !is_rows(info.shape[i].axis)) part.row_bytes *= info.shape[i].size;
    total += aligned(part.row_bytes * most_rows);
    return part;
  };
  int64_t in = 0, out = 0;
  for (const ProblemOp& op : problem_.ops)
    for (size_t i = 0; i < op.inputs.size(); ++i) {
      const bool of_chain =
          static_cast<int32_t>(i) == op.chain_input || (i < op.chain_results.size() && op.chain_results[i] >= 0);
      if (!of_chain) inputs_.push_back(part_of(op.inputs[i], in));
    }
  for (const TensorInfo& info : problem_.ops.back().results) results_.push_back(part_of(info, out));
  TARE_RETURN_IF_ERROR(grow(device_, memory_.inputs, in, Purpose::workspace, "tuning/inputs"));
  TARE_RETURN_IF_ERROR(grow(device_, memory_.outputs, out, Purpose::workspace, "tuning/outputs"));
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Part& part = inputs_[i];
    if (part.info.dtype != DType::bf16 && part.info.dtype != DType::f32)
      return failure(Code::unsupported, "an input is ", name(part.info.dtype), ", expected bf16 or f32");
    if (memory_.data != nullptr && part.info.dtype == DType::bf16) {
      TARE_RETURN_IF_ERROR(
          memory_.data->fill_activations(*stream_, part.row_bytes * most_rows / 2, 100 + i,
                                         static_cast<std::byte*>(memory_.inputs->data()) + part.offset));
      continue;
    }
    std::vector<std::byte> numbers(static_cast<size_t>(part.row_bytes * most_rows));
    fill_activations(part.info.dtype, most_rows, part.row_bytes / size_of(part.info.dtype), 100 + i, numbers.data());
    TARE_RETURN_IF_ERROR(device_.copy_in(*stream_, static_cast<std::byte*>(memory_.inputs->data()) + part.offset,
                                         numbers.data(), numbers.size()));
    TARE_RETURN_IF_ERROR(stream_->synchronize());  // `numbers` ends here
  }
  return {};
}

int64_t ProblemBench::activation_bytes(int64_t rows) const noexcept {
  int64_t out = 0;
  for (const auto* parts : {&inputs_, &results_})
    for (const Part& p : *parts) out += p.row_bytes * rows;
  return out;
}

TensorView ProblemBench::view(const Part& part, std::byte* base, int64_t rows, int64_t first_row) const {
  TensorView v{.data = base + first_row * part.row_bytes,
               .dtype = part.info.dtype,
               .rank = 0,
               .sizes = {1, 1, 1, 1},
               .row_stride = 0};
  for (const Dim& dim : part.info.shape)
    if (v.rank < 4) v.sizes[v.rank++] = dim.size;
  v.sizes[0] = rows;
  v.row_stride = v.row_elements();
  return v;
}

Result<ProblemBench::Prepared> ProblemBench::prepare(const KernelCandidate& kernel, const KernelConfig& config,
                                                     int64_t bucket_rows) {
  const Problem problem = at_rows(problem_, bucket_rows);
  Prepared out;
  for (const auto& copy : copies_) {
    TARE_ASSIGN_OR_RETURN(auto instance, kernel.instance(device_, problem, config));
    TARE_RETURN_IF_ERROR(instance->bind(copy));
    out.instances.push_back(std::move(instance));
  }
  out.scratch_bytes = kernel.scratch_bytes(problem, config);
  TARE_RETURN_IF_ERROR(grow(device_, memory_.scratch, out.scratch_bytes, Purpose::workspace, "tuning/scratch"));
  return out;
}

void ProblemBench::refresh() noexcept {
  memory_.scratch.reset();
  next_ += copies_.size() / 2 + 1;
}

void ProblemBench::warm(std::span<const Wanted> wanted) const {
  static_cast<void>(parallel_for(wanted.size(), 0, [&](size_t i) {
    auto instance = wanted[i].kernel->instance(device_, at_rows(problem_, wanted[i].bucket_rows), *wanted[i].config);
    if (instance.ok()) static_cast<void>((*instance)->bind(copies_.front()));
    return Status();
  }));
}

Status ProblemBench::put(const Prepared& prepared, int64_t rows, int64_t first_row, std::byte* to,
                         std::span<const int64_t> offsets) {
  if (first_row + rows > most_rows_) return failure(Code::internal, "a bench of ", most_rows_, " rows");
  std::vector<TensorView> inputs, outputs;
  for (const Part& p : inputs_)
    inputs.push_back(view(p, static_cast<std::byte*>(memory_.inputs->data()) + p.offset, rows, first_row));
  for (size_t i = 0; i < results_.size(); ++i) outputs.push_back(view(results_[i], to + offsets[i], rows, 0));
  const StepView step;
  const size_t copy = next_++ % copies_.size();
  return prepared.instances[copy]->launch(
      {.device = device_,
       .stream = *stream_,
       .step = step,
       .inputs = inputs,
       .outputs = outputs,
       .weights = copies_[copy],
       .state = nullptr,
       .scratch = {static_cast<std::byte*>(memory_.scratch->data()), static_cast<size_t>(prepared.scratch_bytes)}});
}

Status ProblemBench::launch(const Prepared& prepared, int64_t rows, int64_t first_row) {
  std::vector<int64_t> offsets;
  for (const Part& p : results_) offsets.push_back(p.offset);
  return put(prepared, rows, first_row, static_cast<std::byte*>(memory_.outputs->data()), offsets);
}

Result<BenchResults> ProblemBench::results(const Prepared& prepared, int64_t rows, int64_t first_row) {
  BenchResults out;
  int64_t bytes = 0;
  for (const Part& p : results_) {
    out.offsets.push_back(bytes);
    bytes += aligned(p.row_bytes * rows);
  }
  const Buffer* to = memory_.outputs.get();
  if (memory_.data != nullptr) {
    TARE_ASSIGN_OR_RETURN(out.device,
                          device_.allocate(static_cast<size_t>(bytes), Purpose::workspace, "tuning/expected"));
    to = out.device.get();
  }
  auto* const base = static_cast<std::byte*>(to->data());
  TARE_RETURN_IF_ERROR(device_.fill(*stream_, base, kUnwritten, static_cast<size_t>(bytes)));
  TARE_RETURN_IF_ERROR(put(prepared, rows, first_row, base, out.offsets));
  if (memory_.data == nullptr)
    for (size_t i = 0; i < results_.size(); ++i) {
      out.host.emplace_back(static_cast<size_t>(results_[i].row_bytes * rows));
      TARE_RETURN_IF_ERROR(
          device_.copy_out(*stream_, out.host.back().data(), base + out.offsets[i], out.host.back().size()));
    }
  TARE_RETURN_IF_ERROR(stream_->synchronize());
  return out;
}

Result<std::string> ProblemBench::difference(const Prepared& prepared, int64_t rows, int64_t first_row,
                                             const BenchResults& expected, int64_t first_of_expected) {
  if (memory_.data == nullptr) {
    TARE_ASSIGN_OR_RETURN(const BenchResults got, results(prepared, rows, first_row));
    for (size_t r = 0; r < results_.size(); ++r) {
      const auto bytes = static_cast<size_t>(results_[r].row_bytes);
      for (int64_t row = 0; row < rows; ++row) {
        const std::byte* const x = got.host[r].data() + static_cast<size_t>(row) * bytes;
        const std::byte* const y = expected.host[r].data() + static_cast<size_t>(first_of_expected + row) * bytes;
        if (std::memcmp(x, y, bytes) == 0) continue;
        size_t at = 0;
        while (x[at] == y[at]) ++at;
        return text("row ", first_of_expected + row, ", byte ", at, " of result ", r);
      }
    }
    return std::string();
  }
  auto* const base = static_cast<std::byte*>(memory_.outputs->data());
  for (const Part& p : results_)
    TARE_RETURN_IF_ERROR(device_.fill(*stream_, base + p.offset, kUnwritten, static_cast<size_t>(p.row_bytes * rows)));
  TARE_RETURN_IF_ERROR(launch(prepared, rows, first_row));
  for (size_t r = 0; r < results_.size(); ++r) {
    const Part& p = results_[r];
    const std::byte* const wanted =
        static_cast<const std::byte*>(expected.device->data()) + expected.offsets[r] + first_of_expected * p.row_bytes;
    TARE_ASSIGN_OR_RETURN(const int64_t differing,
                          memory_.data->differing(*stream_, base + p.offset, wanted, p.row_bytes * rows / 2));
    if (differing > 0)
      return text(differing, " of ", p.row_bytes * rows / 2, " words of result ", r, " at row ", first_of_expected,
                  rows > 1 ? " and after" : "");
  }
  return std::string();
}

}  // namespace tare
