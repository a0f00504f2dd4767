// linear.cuda: each matrix of a stack is one product of the catalogue, launched one after the other.
#include <algorithm>
#include <cstring>

#include "jit/cuda_kernel.hpp"
#include "jit/source_hash.hpp"
#include "plugins/linear/cuda/bundle.hpp"
#include "plugins/linear/cuda/candidates.hpp"
#include "plugins/linear/cuda/catalog.hpp"
#include "plugins/linear/cuda/config_text.hpp"
#include "plugins/linear/cuda/problem.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda {
namespace {

constexpr int32_t kUnknownMultiprocessors = 132;

// A matrix as it will lie when its code pays: what configs are chosen for before a number of it was seen.
MatrixShape expected_shape(const WeightInfo& weight) noexcept {
  return {.code = WeightCode::kW12,
          .header_blocks = 1,
          .order = order_of(weight),
          .leaves = leaves_of(weight),
          .base = 112};
}
bool needs_finish(const LinearProblem::Part& part) noexcept { return part.bias || part.result == DType::f32; }

// The catalogue's configs for a part, best guess first.
std::vector<AnyConfig> configs_for(const LinearProblem::Part& part, const MatrixShape& shape, int32_t rows,
                                   int32_t multiprocessors, std::string_view architecture) {
  std::vector<AnyConfig> out = candidates(shape, rows, multiprocessors, architecture);
  if (needs_finish(part)) std::erase_if(out, [](const AnyConfig& c) { return !finishes(c); });
  // From 192 rows on the kernel for many tokens is ahead of those that the catalogue names first (docs/benchmarks).
  if (rows > 192)
    std::stable_partition(out.begin(), out.end(),
                          [](const AnyConfig& c) { return std::holds_alternative<WideConfig>(c); });
  return out;
}
AnyConfig uncut(AnyConfig config) {
  if (auto* wide = std::get_if<WideConfig>(&config)) wide->cut = false;
  return config;
}

// Workspace that one launch of a config may need: partial sums, then flags.
struct Need {
  int64_t partials = 0, flags = 0;
};
Need need_of(const AnyConfig& config) noexcept {
  if (std::holds_alternative<StripConfig>(config) || std::holds_alternative<ClusterConfig>(config) ||
      std::holds_alternative<PortableConfig>(config))
    return {};
  if (const auto* wide = std::get_if<WideConfig>(&config); wide != nullptr && !wide->cut && !wide->split_leaves)
    return {0, 0};
  return {kPartialBytes, kFlagBytes};
}

class FusedInstance final : public Instance {
 public:
  FusedInstance(jit::Jit& jit, Device& device, jit::CudaLaunch& launcher, LinearProblem problem, AnyConfig config,
                int32_t rows)
      : tools_{device, launcher, jit}, problem_(std::move(problem)), config_(config), rows_(rows) {}

  Status bind(std::span<const WeightView> weights) noexcept override {
    try {
      parts_.clear();
      for (size_t i = 0; i < problem_.parts.size(); ++i)
        TARE_RETURN_IF_ERROR(bind_part(problem_.parts[i], weights[2 * i], weights[2 * i + 1]));
      return {};
    } catch (const std::bad_alloc&) {
      return Status(Code::exhausted, "linear.cuda: the process is out of memory");
    }
  }
  Status launch(const Launch& launch) noexcept override {
    if (parts_.empty()) TARE_RETURN_IF_ERROR(bind_late(launch));
    const TensorView& x = launch.inputs[0];
    const auto rows = static_cast<int32_t>(x.rows());
    if (rows == 0) return {};
    if (rows > rows_) return failure(Code::internal, "linear.cuda: ", rows, " rows, planned for ", rows_);
    if (x.row_stride != x.row_elements() || reinterpret_cast<uintptr_t>(x.data) % 16 != 0)
      return failure(Code::unsupported, "linear.cuda: x has gaps between its rows, or does not lie at 16 bytes");
    for (size_t i = 0; i < parts_.size(); ++i) TARE_RETURN_IF_ERROR(run(parts_[i], launch, x, launch.outputs[i], rows));
    return {};
  }
  bool replays() const noexcept override { return true; }

 private:
  // A matrix with the products that run it: the chosen one, and where that does not take fewer rows, a spare.
  struct Part {
    MatrixShape shape;
    const uint16_t* bias = nullptr;
    struct Aimed {
      Product product;
      const void *x = nullptr, *out = nullptr, *scratch = nullptr;
      int32_t rows = 0;
    };
    std::vector<Aimed> ways;
  };

  Status bind_part(const LinearProblem::Part& part, const WeightView& weight, const WeightView& bias) {
    if (!is_strips(weight.layout))
      return failure(Code::unsupported, "linear.cuda reads ", kW12Strips, " and its like, ", part.weight.name,
                     " lies in ", weight.layout);
    TARE_ASSIGN_OR_RETURN(const StripsHead head, read_head(weight.head, weight.bytes, part.weight));
    const MatrixShape shape = shape_of(head);
    if (shape.leaves != leaves_of(part.weight))
      return failure(Code::unsupported, part.weight.name, " has ", shape.leaves, " leaves, the plan expects ",
                     leaves_of(part.weight));
    const auto* data = static_cast<const uint8_t*>(weight.data);
    const bool coded = shape.code != WeightCode::kDense;
    const MatrixView view{shape, data + head.payload_at, coded ? data + head.headers_at : nullptr,
                          coded ? reinterpret_cast<const uint32_t*>(data + head.overflow_at) : nullptr};
    const int32_t multiprocessors = tools_.launcher.multiprocessors();
    AnyConfig config = adapted(config_, shape);
    if (!accepts(config, shape, rows_, multiprocessors) || (needs_finish(part) && !finishes(config))) {
      // The config was chosen for another matrix of the stack, or before this one's code was known.
      const auto all = configs_for(part, shape, rows_, multiprocessors, tools_.launcher.architecture());
      if (all.empty()) return failure(Code::internal, "linear.cuda: no kernel takes ", part.weight.name);
      config = all.front();
    }
    Part bound{.shape = shape, .bias = static_cast<const uint16_t*>(part.bias ? bias.data : nullptr), .ways = {}};
    std::vector<AnyConfig> ways{config};
    if (uncut(config) != config) ways.push_back(uncut(config));
    for (const AnyConfig& way : ways) {
      TARE_ASSIGN_OR_RETURN(Product product, Product::load(tools_, way, view, true));
      bound.ways.push_back({.product = std::move(product)});
    }
    parts_.push_back(std::move(bound));
    return {};
  }

  // Without bind(): the heads come from the device.
  Status bind_late(const Launch& launch) noexcept {
    std::vector<WeightView> weights(launch.weights.begin(), launch.weights.end());
    std::vector<StripsHead> heads(weights.size());
    for (size_t i = 0; i < weights.size(); i += 2) {
      if (weights[i].head != nullptr || weights[i].bytes < kStripsHeadBytes) continue;
      TARE_RETURN_IF_ERROR(launch.device.copy_out(launch.stream, &heads[i], weights[i].data, sizeof heads[i]));
      weights[i].head = &heads[i];
    }
    TARE_RETURN_IF_ERROR(launch.stream.synchronize());
    return bind(weights);
  }

  Status run(Part& part, const Launch& launch, const TensorView& x, const TensorView& out, int32_t rows) {
    size_t which = 0;
    while (which + 1 < part.ways.size() &&
           !accepts(part.ways[which].product.config(), part.shape, rows, tools_.launcher.multiprocessors()))
      ++which;
    Part::Aimed& way = part.ways[which];
    const Need need = need_of(way.product.config());
    if (need.partials + need.flags > static_cast<int64_t>(launch.scratch.size()))
      return failure(Code::internal, "linear.cuda: ", launch.scratch.size(), " bytes of scratch, expected ",
                     need.partials + need.flags);
    std::byte* const partials = launch.scratch.data();
    if (way.x != x.data || way.out != out.data || way.scratch != partials || way.rows != rows) {
      const bool f32 = out.dtype == DType::f32;
      TARE_RETURN_IF_ERROR(way.product.aim(static_cast<const uint16_t*>(x.data),
                                           {.bf16 = f32 ? nullptr : static_cast<uint16_t*>(out.data),
                                            .f32 = f32 ? static_cast<float*>(out.data) : nullptr,
                                            .bias = part.bias},
                                           rows, partials, partials + need.partials));
      way.x = x.data, way.out = out.data, way.scratch = partials, way.rows = rows;
    }
    if (need.flags > 0)
      TARE_RETURN_IF_ERROR(
          launch.device.fill(launch.stream, partials + need.partials, 0, static_cast<size_t>(need.flags)));
    return way.product.launch(launch.stream);
  }

  const Toolbox tools_;
  const LinearProblem problem_;
  const AnyConfig config_;
  const int32_t rows_;
  std::vector<Part> parts_;
};

class FusedCandidate final : public KernelCandidate {
 public:
  explicit FusedCandidate(jit::Jit& jit) : jit_(jit) {}
  std::string_view id() const noexcept override { return "linear.cuda"; }
  std::string_view device_kind() const noexcept override { return "cuda"; }
  std::vector<std::string> takes() const override { return {"linear/1"}; }
  std::string hash() const override { return sources_hash(); }

  Verdict supports(const Problem& problem) const noexcept override {
    if (Verdict v = jit::runs_on(problem, 80); !v) return v;
    LinearProblem p;
    if (Verdict v = read_problem(problem, p); !v) return v;
    if (p.x != DType::bf16) return Verdict::no("x is ", name(p.x), ", expected bf16");
    if (problem.rows < 1 || problem.rows > 1 << 22) return Verdict::no(problem.rows, " rows, expected 1 to 4194304");
    for (const auto& part : p.parts) {
      if (Verdict v = fits_records(part.weight); !v) return Verdict::no(part.weight.name, ": ", v.reason);
      if (part.bias && part.bias->dtype != DType::bf16)
        return Verdict::no(part.bias->name, " is ", name(part.bias->dtype), ", expected bf16");
    }
    return Verdict::yes();
  }
  // Leaves of 64-column chunks, added in order (README.md): the same at every number of rows and for every kernel.
  std::string numerics(const Problem& problem) const override {
    LinearProblem p;
    if (!read_problem(problem, p)) return "";
    std::string leaves;
    for (const auto& part : p.parts)
      leaves += text(leaves.empty() ? "" : ",", fits_records(part.weight) ? leaves_of(part.weight) : 0);
    return "chunks64-mma16-leaves" + leaves;
  }
  std::vector<std::string> layouts(const Problem&, size_t, size_t position) const override {
    if (position % 2 != 0) return {"dense/rows"};
    return {std::string(kW12Strips), std::string(kW11Strips), std::string(kDenseStrips)};
  }
  KernelConfig fallback(const Problem& problem) const override { return space(problem).front(); }
  std::vector<KernelConfig> space(const Problem& problem) const override {
    std::vector<KernelConfig> out;
    LinearProblem p;
    if (supports(problem) && read_problem(problem, p)) {
      // Of a stack, the largest matrix decides; the others take the config where they can.
      const auto& part =
          *std::ranges::max_element(p.parts, {}, [](const auto& x) { return x.weight.outputs() * x.weight.inputs(); });
      for (const AnyConfig& c : configs_for(part, expected_shape(part.weight), static_cast<int32_t>(problem.rows),
                                            multiprocessors_of(problem), architecture(problem)))
        if (KernelConfig printed = to_config(c); !printed.empty()) out.push_back(std::move(printed));
    }
    if (out.empty()) out.push_back(to_config(PortableConfig{}));
    return out;
  }
  Verdict accepts(const Problem& problem, const KernelConfig& config) const noexcept override {
    const auto parsed = from_config(config);
    if (!parsed.ok()) return Verdict::no(parsed.status().message());
    LinearProblem p;
    if (Verdict v = read_problem(problem, p); !v) return v;
    Verdict last = Verdict::no("there is no matrix");
    for (const auto& part : p.parts) {
      if (!fits_records(part.weight)) return fits_records(part.weight);
      const MatrixShape shape = expected_shape(part.weight);
      last = linear_cuda::accepts(adapted(*parsed, shape), shape, static_cast<int32_t>(problem.rows),
                                  multiprocessors_of(problem));
      if (last && needs_finish(part) && !finishes(*parsed))
        last = Verdict::no("the kernel writes bf16 without a bias, ", part.weight.name, " wants more");
      if (last) return last;  // the others of the stack have a rule of their own
    }
    return last;
  }
  int64_t scratch_bytes(const Problem& problem, const KernelConfig& config) const override {
    // Other matrices of a stack may take another kernel than the config's.
    LinearProblem p;
    const auto parsed = from_config(config);
    if (!parsed.ok() || !supports(problem) || !read_problem(problem, p)) return 0;
    const auto bytes = [](const AnyConfig& c) { return need_of(c).partials + need_of(c).flags; };
    int64_t most = bytes(*parsed);
    for (const auto& part : p.parts)
      for (const WeightCode code : {WeightCode::kW12, WeightCode::kW11, WeightCode::kDense})
        for (const int32_t blocks : {1, 2, 3, 4}) {
          MatrixShape shape = expected_shape(part.weight);
          shape.code = code, shape.header_blocks = blocks;
          const auto rows = static_cast<int32_t>(problem.rows);
          if (linear_cuda::accepts(adapted(*parsed, shape), shape, rows, multiprocessors_of(problem)) &&
              (!needs_finish(part) || finishes(*parsed)))
            continue;
          const auto all = configs_for(part, shape, rows, multiprocessors_of(problem), architecture(problem));
          if (!all.empty()) most = std::max(most, bytes(all.front()));
        }
    return most;
  }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig& config) const override {
    if (Verdict v = supports(problem); !v) return failure(Code::unsupported, id(), ": ", v.reason);
    if (Verdict v = accepts(problem, config); !v) return failure(Code::invalid, id(), ": ", v.reason);
    auto* launcher = static_cast<jit::CudaLaunch*>(device.query(jit::CudaLaunch::kInterface));
    if (launcher == nullptr) return failure(Code::unsupported, id(), ": ", device.info().id, " has no cuda_launch/1");
    LinearProblem p;
    (void)read_problem(problem, p);
    TARE_ASSIGN_OR_RETURN(const AnyConfig parsed, from_config(config));
    return std::unique_ptr<Instance>(std::make_unique<FusedInstance>(jit_, device, *launcher, std::move(p), parsed,
                                                                     static_cast<int32_t>(problem.rows)));
  }

 private:
  static int32_t multiprocessors_of(const Problem& problem) noexcept {
    return problem.units > 0 ? problem.units : kUnknownMultiprocessors;
  }
  static std::string_view architecture(const Problem& problem) noexcept {
    const std::string_view found = jit::architecture_of(problem.features);
    return found.empty() ? "sm_80" : found;
  }
  jit::Jit& jit_;
};

}  // namespace

const std::string& sources_hash() {
  static const std::string hash = jit::source_hash(jit::linear_bundle());
  return hash;
}
std::unique_ptr<KernelCandidate> make_fused_candidate(jit::Jit& jit) { return std::make_unique<FusedCandidate>(jit); }

}  // namespace tare::linear_cuda
