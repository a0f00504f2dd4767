#include "plugins/linear/cuda/fused_instance.hpp"

#include <algorithm>
#include <limits>
#include <new>
#include <optional>

#include "plugins/linear/cuda/catalog.hpp"
#include "plugins/linear/cuda/config_text.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"
#include "plugins/linear/cuda/work.hpp"

namespace tare::linear_cuda {
namespace {

AnyConfig uncut(AnyConfig config) {
  if (auto* wide = std::get_if<WideConfig>(&config)) wide->cut = false;
  return config;
}

// Bytes of workspace that one launch of a config may need, for partial sums.
int64_t need_of(const AnyConfig& config) noexcept {
  if (const auto* wide = std::get_if<WideConfig>(&config)) return wide->cut || wide->shares > 1 ? kPartialBytes : 0;
  return std::holds_alternative<StreamConfig>(config) ? kPartialBytes : 0;
}
// The gate's numbers, which only the epilogue of the product after it reads; they lie at the workspace's end.
int64_t gate_bytes(const LinearProblem& problem, int64_t rows) noexcept {
  return problem.parts.size() > 1 && problem.epilogue != Epilogue::kNone
             ? (rows * problem.parts.front().weight.outputs() * 2 + 255) / 256 * 256
             : 0;
}

class FusedInstance final : public Instance {
 public:
  FusedInstance(jit::Jit& jit, Device& device, jit::CudaLaunch& launcher, LinearProblem problem, AnyConfig config,
                int32_t rows)
      : tools_{device, launcher, jit}, problem_(std::move(problem)), config_(config), rows_(rows) {}

  Status bind(std::span<const WeightView> weights) noexcept override {
    try {
      TARE_RETURN_IF_ERROR(bind_parts(config_, weights));
      // Gate and up in one launch need one code and one size of headers; chosen before these were known.
      if (std::ranges::any_of(parts_, [](const Part& p) { return is_gated(p.ways.front().product.config()); }) &&
          !ProductStack::fits(first_ways(), rows_, tools_.launcher.multiprocessors()))
        TARE_RETURN_IF_ERROR(bind_parts(std::nullopt, weights));
      TARE_RETURN_IF_ERROR(bind_flags());
      return bind_kernels();
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
    if (problem_.epilogue == Epilogue::kNone) {
      for (size_t i = 0; i < parts_.size(); ++i) {
        const ProductOutput to = target_of(launch.outputs[problem_.parts[i].position], parts_[i].bias);
        if (stack_) TARE_RETURN_IF_ERROR(aim(parts_[i], parts_[i].ways.front(), launch, x.data, to, rows));
        if (!stack_) TARE_RETURN_IF_ERROR(run(parts_[i], launch, x.data, to, rows));
      }
      return stack_ ? stack_->launch(launch.stream) : Status();
    }
    // The product that the epilogue follows is the last; what it takes is the gate before it, or comes from outside.
    ProductOutput last = target_of(launch.outputs[0], parts_.back().bias);
    if (const int64_t gate = gate_bytes(problem_, rows_); gate > 0) {
      if (gate > std::ssize(launch.scratch)) return short_of_scratch(launch, gate);
      last.other = reinterpret_cast<const uint16_t*>(launch.scratch.data() + launch.scratch.size() - gate);
      const ProductOutput to{.bf16 = const_cast<uint16_t*>(last.other),
                             .f32 = nullptr,
                             .bias = parts_.front().bias,
                             .other = nullptr,
                             .paired = paired_};
      last.paired = paired_;
      if (stack_) {
        TARE_RETURN_IF_ERROR(aim(parts_.front(), parts_.front().ways.front(), launch, x.data, to, rows));
        TARE_RETURN_IF_ERROR(aim(parts_.back(), parts_.back().ways.front(), launch, x.data, last, rows));
        return stack_->launch(launch.stream);
      }
      TARE_RETURN_IF_ERROR(run(parts_.front(), launch, x.data, to, rows));
    } else {
      const TensorView& other = launch.inputs[1];
      if (other.row_stride != other.row_elements() || reinterpret_cast<uintptr_t>(other.data) % 16 != 0)
        return failure(Code::unsupported,
                       "linear.cuda: what is added has gaps between its rows, or does not lie at 16 bytes");
      last.other = static_cast<const uint16_t*>(other.data);
    }
    return run(parts_.back(), launch, x.data, last, rows);
  }
  bool replays() const noexcept override { return true; }

 private:
  // A matrix with the products that run it: the chosen one, and where that does not take fewer rows, a spare.
  struct Part {
    MatrixShape shape;
    const uint16_t* bias = nullptr;
    int64_t flags = 0;  // where its own begin
    struct Aimed {
      Product product;
      const void *x = nullptr, *scratch = nullptr;
      ProductOutput to;
      int32_t rows = 0;
    };
    std::vector<Aimed> ways;
  };

  static ProductOutput target_of(const TensorView& out, const uint16_t* bias) noexcept {
    const bool f32 = out.dtype == DType::f32;
    return {.bf16 = f32 ? nullptr : static_cast<uint16_t*>(out.data),
            .f32 = f32 ? static_cast<float*>(out.data) : nullptr,
            .bias = bias,
            .other = nullptr,
            .paired = false};
  }
  static Status short_of_scratch(const Launch& launch, int64_t wanted) {
    return failure(Code::internal, "linear.cuda: ", launch.scratch.size(), " bytes of scratch, expected ", wanted);
  }

  // Every matrix with `wanted` where that takes it; otherwise, or without, with what the rule gives it alone.
  Status bind_parts(const std::optional<AnyConfig>& wanted, std::span<const WeightView> weights) {
    parts_.clear(), stack_.reset();
    for (const LinearProblem::Part& part : problem_.parts)
      TARE_RETURN_IF_ERROR(bind_part(part, wanted, weights[2 * part.position], weights[2 * part.position + 1]));
    return {};
  }
  std::vector<Product*> first_ways() {
    std::vector<Product*> out;
    for (Part& part : parts_) out.push_back(&part.ways.front().product);
    return out;
  }

  Status bind_part(const LinearProblem::Part& part, const std::optional<AnyConfig>& wanted, const WeightView& weight,
                   const WeightView& bias) {
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
    std::optional<AnyConfig> config;
    if (wanted) config = adapted(*wanted, shape);
    if (!config || !accepts(*config, shape, rows_, multiprocessors) || (needs_f32(part) && !writes_f32(*config))) {
      // The config was chosen for another matrix of the stack, or before this one's code was known.
      const auto all = configs_for(part, shape, rows_, multiprocessors, tools_.launcher.architecture());
      if (all.empty()) return failure(Code::internal, "linear.cuda: no kernel takes ", part.weight.name);
      config = all.front();
    }
    Part bound{
        .shape = shape, .bias = static_cast<const uint16_t*>(part.bias ? bias.data : nullptr), .flags = 0, .ways = {}};
    std::vector<AnyConfig> ways{*config};
    if (uncut(*config) != *config) ways.push_back(uncut(*config));
    for (const AnyConfig& way : ways) {
      TARE_ASSIGN_OR_RETURN(Product product, Product::describe(tools_, way, view, true, part.epilogue));
      bound.ways.emplace_back().product = std::move(product);
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

  // Flags are zero between launches: this instance's own, or every launch would have to clear them first.
  Status bind_flags() {
    int64_t bytes = 0;
    for (Part& part : parts_) {
      part.flags = bytes;
      int64_t most = 0;
      for (const Part::Aimed& way : part.ways)
        most = std::max(most, flag_bytes(way.product.config(), part.shape, rows_, tools_.launcher.multiprocessors()));
      bytes += most;
    }
    flags_.reset();
    if (bytes == 0) return {};
    TARE_ASSIGN_OR_RETURN(
        flags_, tools_.device.allocate(static_cast<size_t>(bytes), Purpose::workspace, "linear.cuda's flags"));
    TARE_ASSIGN_OR_RETURN(const auto stream, tools_.device.create_stream());
    TARE_RETURN_IF_ERROR(tools_.device.fill(*stream, flags_->data(), 0, static_cast<size_t>(bytes)));
    return stream->synchronize();
  }

  // Matrices that all run by one config go in one launch.
  Status bind_kernels() {
    std::vector<Product*> products = first_ways();
    if ((problem_.epilogue == Epilogue::kNone || is_gated(products.front()->config())) &&
        ProductStack::fits(products, rows_, tools_.launcher.multiprocessors())) {
      TARE_ASSIGN_OR_RETURN(ProductStack stack, ProductStack::load(tools_, std::move(products)));
      stack_ = std::move(stack);
      return {};
    }
    paired_ = parts_.size() == 2 && problem_.epilogue != Epilogue::kNone;
    for (Part& part : parts_) {
      for (Part::Aimed& way : part.ways) {
        TARE_RETURN_IF_ERROR(way.product.compile(tools_));
        paired_ = paired_ && pairs_up(way.product.config());
      }
    }
    return {};
  }

  Status aim(Part& part, Part::Aimed& way, const Launch& launch, const void* x, const ProductOutput& to, int32_t rows) {
    std::byte* const partials = launch.scratch.data();
    if (way.x == x && way.to == to && way.scratch == partials && way.rows == rows) return {};
    const int64_t need = need_of(way.product.config());
    if (need > std::ssize(launch.scratch)) return short_of_scratch(launch, need);
    void* const flags = flags_ ? static_cast<std::byte*>(flags_->data()) + part.flags : nullptr;
    TARE_RETURN_IF_ERROR(way.product.aim(static_cast<const uint16_t*>(x), to, rows, partials, flags));
    way.x = x, way.to = to, way.scratch = partials, way.rows = rows;
    return {};
  }

  Status run(Part& part, const Launch& launch, const void* x, const ProductOutput& to, int32_t rows) {
    size_t which = 0;
    while (which + 1 < part.ways.size() &&
           !accepts(part.ways[which].product.config(), part.shape, rows, tools_.launcher.multiprocessors()))
      ++which;
    Part::Aimed& way = part.ways[which];
    TARE_RETURN_IF_ERROR(aim(part, way, launch, x, to, rows));
    return way.product.launch(launch.stream);
  }

  const Toolbox tools_;
  const LinearProblem problem_;
  const AnyConfig config_;
  const int32_t rows_;
  std::vector<Part> parts_;
  std::unique_ptr<Buffer> flags_;      // of all parts; absent where no kernel has any
  std::optional<ProductStack> stack_;  // of all parts; absent: they are launched one by one
  bool paired_ = false;                // gate and what it is multiplied by run beside each other
};

}  // namespace

MatrixShape expected_shape(const WeightInfo& weight) noexcept {
  return {.code = WeightCode::kW12,
          .header_blocks = 1,
          .order = order_of(weight),
          .leaves = leaves_of(weight),
          .base = 112};
}
bool needs_f32(const LinearProblem::Part& part) noexcept { return part.result == DType::f32; }

std::vector<AnyConfig> configs_for(const LinearProblem::Part& part, const MatrixShape& shape, int32_t rows,
                                   int32_t multiprocessors, std::string_view architecture) {
  std::vector<AnyConfig> out = candidates(shape, rows, multiprocessors, architecture);
  if (needs_f32(part)) std::erase_if(out, [](const AnyConfig& c) { return !writes_f32(c); });
  // The kernel for many tokens is ahead of those that the catalogue names first from 192 rows on, and where it has no
  // sums to add up from 64 on (docs/benchmarks).
  if (rows > (shape.leaves > 1 ? 192 : 64))
    std::stable_partition(out.begin(), out.end(),
                          [](const AnyConfig& c) { return std::holds_alternative<WideConfig>(c); });
  return out;
}

namespace {

// Of a stack's matrices together the last round may be shared where that of its largest alone is not.
void add_shared_rests(std::vector<AnyConfig>& out, std::span<const MatrixShape> matrices, int32_t rows,
                      int32_t multiprocessors) {
  for (size_t i = 0, known = out.size(); i < known; ++i) {
    const auto* whole = std::get_if<WideConfig>(&out[i]);
    if (whole == nullptr || !whole->sum_leaves || whole->shares > 1 || whole->row_groups != 2) continue;
    for (const int32_t shares : {4, 2}) {
      WideConfig c = *whole;
      c.shares = shares, c.rest_leaves = matrices[0].leaves / shares;
      std::vector<Work> works;
      for (const MatrixShape& m : matrices)
        if (accepts(c, m, rows, multiprocessors)) works.push_back(work_of(c, m, rows));
      if (works.size() < matrices.size()) continue;
      const Rounds rounds = fewest_rounds(works, multiprocessors / kWideCluster);
      if (rounds.whole == 0 || !rounds.rest) continue;
      if (std::ranges::find(out, AnyConfig(c)) == out.end()) out.push_back(c);
      break;
    }
  }
}

}  // namespace

std::vector<AnyConfig> configs_for(const LinearProblem& problem, int32_t rows, int32_t multiprocessors,
                                   std::string_view architecture) {
  const auto& largest = *std::ranges::max_element(
      problem.parts, {}, [](const auto& part) { return part.weight.outputs() * part.weight.inputs(); });
  auto out = configs_for(largest, expected_shape(largest.weight), rows, multiprocessors, architecture);
  if (problem.parts.size() == 2 && problem.epilogue > Epilogue::kAdd) {
    const auto together = gated_candidates(expected_shape(largest.weight), rows, multiprocessors, architecture);
    out.insert(out.begin(), together.begin(), together.end());
  }
  const bool stacked = problem.parts.size() > 1 && problem.epilogue == Epilogue::kNone;
  std::vector<MatrixShape> together;
  for (const auto& part : problem.parts)
    if (stacked || problem.epilogue > Epilogue::kAdd || &part == &largest)
      together.push_back(expected_shape(part.weight));
  if (stacked) add_shared_rests(out, together, rows, multiprocessors);
  if (rows > kMostStripTokens) {
    const auto time = [&](const AnyConfig& config) {
      const double cycles = predicted_cycles(config, together, rows, multiprocessors);
      return cycles > 0 ? cycles : std::numeric_limits<double>::infinity();
    };
    std::ranges::stable_sort(out, {}, time);
  }
  if (stacked)
    std::ranges::stable_partition(out, [&](const AnyConfig& config) {
      return !std::holds_alternative<PortableConfig>(config) &&
             std::ranges::all_of(problem.parts, [&](const LinearProblem::Part& part) {
               return static_cast<bool>(accepts(config, expected_shape(part.weight), rows, multiprocessors)) &&
                      (!needs_f32(part) || writes_f32(config));
             });
    });
  return out;
}

int64_t workspace_bytes(const LinearProblem& problem, const AnyConfig& config, int32_t rows, int32_t multiprocessors,
                        std::string_view architecture) {
  int64_t most = need_of(config);
  for (const auto& part : problem.parts)
    for (const WeightCode code : {WeightCode::kW12, WeightCode::kW11, WeightCode::kDense})
      for (const int32_t blocks : {1, 2, 3, 4}) {
        MatrixShape shape = expected_shape(part.weight);
        shape.code = code, shape.header_blocks = blocks;
        if (accepts(adapted(config, shape), shape, rows, multiprocessors) && (!needs_f32(part) || writes_f32(config)))
          continue;
        const auto all = configs_for(part, shape, rows, multiprocessors, architecture);
        if (!all.empty()) most = std::max(most, need_of(all.front()));
      }
  return (most + 255) / 256 * 256 + gate_bytes(problem, rows);
}

std::unique_ptr<Instance> make_fused_instance(jit::Jit& jit, Device& device, jit::CudaLaunch& launcher,
                                              LinearProblem problem, const AnyConfig& config, int32_t rows) {
  return std::make_unique<FusedInstance>(jit, device, launcher, std::move(problem), config, rows);
}

}  // namespace tare::linear_cuda
