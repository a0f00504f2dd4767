#include "autotune/run/bench.hpp"

#include <algorithm>
#include <thread>

#include "autotune/run/numbers.hpp"
#include "autotune/run/problems.hpp"
#include "core/base/parallel.hpp"

namespace tare {
namespace {

constexpr int64_t kAlignment = 4096, kMostCopies = 4096;
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

// One weight as it lies, on the host.
struct Laid {
  std::vector<std::byte> bytes;
  const Layout* layout = nullptr;
};
Result<Laid> lay(const WeightInfo& info, const Layout& layout, uint64_t seed, Device& device, Stream& stream) {
  const int64_t rows = info.outputs(), row_bytes = info.inputs() * size_of(info.dtype);
  const int64_t granule = std::max<int64_t>(1, layout.row_granule());
  std::vector<std::byte> plain(static_cast<size_t>(rows * row_bytes));
  TARE_RETURN_IF_ERROR(over_rows(rows, granule, [&](int64_t begin, int64_t end) {
    fill_trained_like(info.dtype, begin, end, info.inputs(), seed, plain.data() + begin * row_bytes);
    return Status();
  }));
  Laid out{{}, &layout};
  TARE_ASSIGN_OR_RETURN(const auto on_device, layout.device_encoder(device));
  if (on_device != nullptr) {
    TARE_ASSIGN_OR_RETURN(const auto raw, device.allocate(plain.size(), Purpose::staging, "tuning/plain"));
    TARE_RETURN_IF_ERROR(device.copy_in(stream, raw->data(), plain.data(), plain.size()));
    TARE_ASSIGN_OR_RETURN(const auto encoded, on_device->encode(stream, info, raw->data(), "tuning/encoded"));
    out.bytes.resize(encoded.buffer->bytes());
    TARE_RETURN_IF_ERROR(device.copy_out(stream, out.bytes.data(), encoded.buffer->data(), out.bytes.size()));
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
  out.bytes.resize(static_cast<size_t>(plan != nullptr ? plan->bytes() : layout.bytes(info)));
  TARE_RETURN_IF_ERROR(over_rows(rows, granule, [&](int64_t begin, int64_t end) {
    const std::byte* const from = plain.data() + begin * row_bytes;
    return plan != nullptr ? plan->encode(begin, end, from, out.bytes.data())
                           : layout.encode(info, begin, end, from, out.bytes.data());
  }));
  return out;
}

}  // namespace

Result<std::unique_ptr<ProblemBench>> ProblemBench::create(Device& device, const Registry& registry,
                                                           const Problem& problem, std::string_view layout,
                                                           int64_t most_rows, int64_t cold_bytes, BenchMemory& memory) {
  auto out = std::unique_ptr<ProblemBench>(new ProblemBench(device, registry, problem, memory));
  TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  TARE_RETURN_IF_ERROR(out->lay_weights(layout, cold_bytes));
  TARE_RETURN_IF_ERROR(out->lay_tensors(most_rows));
  return out;
}

Status ProblemBench::lay_weights(std::string_view layout, int64_t cold_bytes) {
  std::vector<std::optional<Laid>> laid;
  std::vector<const WeightInfo*> infos;
  int64_t step = 0;
  for (const ProblemOp& op : problem_.ops)
    for (size_t i = 0; i < op.weights.size(); ++i) {
      laid.emplace_back(), infos.push_back(nullptr);
      if (!op.weights[i]) continue;
      infos.back() = &*op.weights[i];
      const std::string_view id = is_matrix(op, i) ? layout : std::string_view("dense/rows");
      const Layout* const how = registry_.layout(id);
      if (how == nullptr) return failure(Code::unsupported, "no plugin brings the layout ", id);
      if (Verdict v = how->supports(*infos.back()); !v) return failure(Code::unsupported, id, ": ", v.reason);
      TARE_ASSIGN_OR_RETURN(laid.back(), lay(*infos.back(), *how, laid.size(), device_, *stream_));
      const auto bytes = static_cast<int64_t>(laid.back()->bytes.size());
      step += aligned(bytes);
      if (!is_matrix(op, i)) continue;
      matrix_bytes_ += bytes;
      flops_per_row_ +=
          2.0 * static_cast<double>(infos.back()->outputs()) * static_cast<double>(infos.back()->inputs());
    }
  if (step == 0) return invalid("the problem has no weights");
  int64_t copies = std::clamp<int64_t>(cold_bytes / step + 1, 1, kMostCopies);
  // A device that has less room holds fewer: the figures are warmer then, never missing.
  for (Status status;
       !(status = grow(device_, memory_.weights, copies * step, Purpose::weights, "tuning/weights")).ok();
       copies = (copies + 1) / 2)
    if (copies == 1) return status;
  auto* const base = static_cast<std::byte*>(memory_.weights->data());
  for (const auto& one : laid) {
    heads_.emplace_back();
    if (one)
      heads_.back().assign(one->bytes.begin(),
                           one->bytes.begin() + std::min<ptrdiff_t>(kWeightHeadBytes, std::ssize(one->bytes)));
  }
  for (int64_t c = 0; c < copies; ++c) {
    auto& views = copies_.emplace_back();
    std::byte* to = base + c * step;
    for (size_t w = 0; w < laid.size(); ++w) {
      views.emplace_back();
      if (!laid[w]) continue;
      const std::vector<std::byte>& bytes = laid[w]->bytes;
      TARE_RETURN_IF_ERROR(device_.copy_in(*stream_, to, bytes.data(), bytes.size()));
      views.back() = {.data = to,
                      .bytes = std::ssize(bytes),
                      .layout = laid[w]->layout->id(),
                      .info = infos[w],
                      .decoder = laid[w]->layout,
                      .head = heads_[w].data()};
      to += aligned(std::ssize(bytes));
    }
  }
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

TensorView ProblemBench::view(const Part& part, const Buffer& buffer, int64_t rows, int64_t first_row) const {
  TensorView v{.data = static_cast<std::byte*>(buffer.data()) + part.offset + first_row * part.row_bytes,
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
  TARE_ASSIGN_OR_RETURN(out.instance, kernel.instance(device_, problem, config));
  TARE_RETURN_IF_ERROR(out.instance->bind(copies_.front()));
  out.scratch_bytes = kernel.scratch_bytes(problem, config);
  TARE_RETURN_IF_ERROR(grow(device_, memory_.scratch, out.scratch_bytes, Purpose::workspace, "tuning/scratch"));
  return out;
}

void ProblemBench::refresh() noexcept {
  memory_.scratch.reset();
  next_ += copies_.size() / 2 + 1;
}

Status ProblemBench::launch(const Prepared& prepared, int64_t rows, int64_t first_row) {
  if (first_row + rows > most_rows_) return failure(Code::internal, "a bench of ", most_rows_, " rows");
  std::vector<TensorView> inputs, outputs;
  for (const Part& p : inputs_) inputs.push_back(view(p, *memory_.inputs, rows, first_row));
  for (const Part& p : results_) outputs.push_back(view(p, *memory_.outputs, rows, 0));
  const StepView step;
  const auto& weights = copies_[next_++ % copies_.size()];
  return prepared.instance->launch(
      {.device = device_,
       .stream = *stream_,
       .step = step,
       .inputs = inputs,
       .outputs = outputs,
       .weights = weights,
       .state = nullptr,
       .scratch = {static_cast<std::byte*>(memory_.scratch->data()), static_cast<size_t>(prepared.scratch_bytes)}});
}

Result<std::vector<std::vector<std::byte>>> ProblemBench::results(const Prepared& prepared, int64_t rows,
                                                                  int64_t first_row) {
  auto* const base = static_cast<std::byte*>(memory_.outputs->data());
  for (const Part& p : results_)
    TARE_RETURN_IF_ERROR(device_.fill(*stream_, base + p.offset, kUnwritten, static_cast<size_t>(p.row_bytes * rows)));
  TARE_RETURN_IF_ERROR(launch(prepared, rows, first_row));
  std::vector<std::vector<std::byte>> out;
  for (const Part& p : results_) {
    out.emplace_back(static_cast<size_t>(p.row_bytes * rows));
    TARE_RETURN_IF_ERROR(device_.copy_out(*stream_, out.back().data(), base + p.offset, out.back().size()));
  }
  TARE_RETURN_IF_ERROR(stream_->synchronize());
  return out;
}

}  // namespace tare
