#include "plugins/linear/cuda/product.hpp"

#include <algorithm>
#include <cmath>

#include "plugins/linear/cuda/expression.hpp"
#include "plugins/linear/cuda/pack_host.hpp"
#include "plugins/linear/cuda/tiling.hpp"
#include "plugins/linear/cuda/work.hpp"

namespace tare::linear_cuda {
namespace {

// Records as {8-byte words, strip of the block, chunk, block}; the box is one slot.
jit::TensorMapRequest record_map(const void* address, int32_t record_bytes, const RecordOrder& order,
                                 const SlotSpan& span) {
  jit::TensorMapRequest r;
  const auto bytes = static_cast<uint64_t>(record_bytes), strips = static_cast<uint64_t>(order.strips_per_block);
  const auto chunks = static_cast<uint64_t>(order.chunks());
  r.address = address, r.element = jit::TensorElement::bits64, r.dimensions = 4, r.swizzle_128 = false;
  r.sizes[0] = bytes / 8, r.sizes[1] = strips, r.sizes[2] = chunks,
  r.sizes[3] = static_cast<uint64_t>(order.strips()) / strips;
  r.strides[1] = bytes, r.strides[2] = bytes * strips, r.strides[3] = bytes * strips * chunks;
  r.box[0] = static_cast<uint32_t>(bytes / 8),
  r.box[1] = static_cast<uint32_t>(std::min(order.strips_per_block, span.strips));
  r.box[2] = static_cast<uint32_t>(span.chunks),
  r.box[3] = static_cast<uint32_t>(std::max(1, span.strips / order.strips_per_block));
  return r;
}

struct Shape {
  int32_t rows, tokens, leaves, multiprocessors;
  jit::LaunchShape operator()(const StripConfig& c) const {
    return {.grid_x = static_cast<uint32_t>(even_grid(rows / kStripRows / own_strips(c), multiprocessors)),
            .threads = static_cast<uint32_t>(threads(c)),
            .shared_bytes = static_cast<uint32_t>(shared_bytes(c))};
  }
  jit::LaunchShape operator()(const ClusterConfig& c) const {
    const int64_t all = tiles(c, rows, tokens);
    return {.grid_x = static_cast<uint32_t>(leaves > 1 ? all * c.cluster : even_grid(all, multiprocessors)),
            .threads = static_cast<uint32_t>(threads(c)),
            .shared_bytes = static_cast<uint32_t>(shared_bytes(c)),
            .cluster = static_cast<uint32_t>(c.cluster)};
  }
  jit::LaunchShape operator()(const StreamConfig& c) const {
    const int64_t items = tiles(c, rows, tokens) * leaves;
    return {.grid_x = static_cast<uint32_t>(even_grid(items, multiprocessors)),
            .threads = static_cast<uint32_t>(threads(c)),
            .shared_bytes = static_cast<uint32_t>(shared_bytes(c))};
  }
  jit::LaunchShape operator()(const WideConfig& c) const {
    const int64_t all = tiles(c, rows, tokens);
    const int32_t clusters = multiprocessors / kWideCluster;
    const Work work{.pieces = all, .rest_shares = c.shares};
    const int64_t grid = c.cut               ? clusters
                         : c.rest_leaves > 0 ? groups_for(work, fewest_rounds({&work, 1}, clusters))
                         : c.shares > 1      ? all * c.shares
                                             : even_grid(all, clusters);
    return {.grid_x = static_cast<uint32_t>(grid * kWideCluster),
            .threads = static_cast<uint32_t>(threads(c)),
            .shared_bytes = static_cast<uint32_t>(shared_bytes(c)),
            .cluster = kWideCluster};
  }
  jit::LaunchShape operator()(const PortableConfig& c) const {
    return {.grid_x = static_cast<uint32_t>((rows / kStripRows + c.strips - 1) / c.strips),
            .grid_y = static_cast<uint32_t>(token_tiles(tokens, c.tokens)),
            .threads = static_cast<uint32_t>(threads(c)),
            .shared_bytes = static_cast<uint32_t>(shared_bytes(c))};
  }
};

// Tokens and chunks of the activation box that a kernel loads at once; how many tensor maps it takes.
struct Box {
  uint32_t tokens, chunks;
  int32_t maps = 1;
};
struct BoxOf {
  Box operator()(const StripConfig& c) const {
    return {static_cast<uint32_t>(c.tokens), static_cast<uint32_t>(c.k_groups)};
  }
  Box operator()(const ClusterConfig& c) const {
    return {static_cast<uint32_t>(c.tokens), static_cast<uint32_t>(c.k_groups)};
  }
  Box operator()(const StreamConfig& c) const { return {static_cast<uint32_t>(c.tokens), 1}; }
  // Each block fetches its half of the tokens, or its chunk of the slot.
  Box operator()(const WideConfig& c) const {
    return {static_cast<uint32_t>(c.chunks == 1 ? c.tokens / kWideCluster : c.tokens), 1, 2};
  }
  Box operator()(const PortableConfig&) const { return {0, 0, 0}; }
};

template <class Config>
Config fit_stages(Config c) {
  c.code = WeightCode::kDense;
  if constexpr (requires { c.stages; }) {
    while (c.stages > 1 && shared_bytes(c) > kMaxSharedBytes) --c.stages;
  } else if constexpr (requires { c.weight_stages; }) {
    while (c.weight_stages > 2 && shared_bytes(c) > kMaxSharedBytes) --c.weight_stages;
    while (c.activation_stages > 2 && shared_bytes(c) > kMaxSharedBytes) --c.activation_stages;
  }
  return c;
}

}  // namespace

std::string expression(const AnyConfig& config, Epilogue epilogue) {
  static constexpr const char* kNames[] = {"kNone", "kAdd", "kSilu", "kGelu", "kGeluTanh", "kRelu"};
  std::string out = std::visit([](const auto& c) { return expression(c); }, config);
  if (epilogue == Epilogue::kNone) return out;
  out.pop_back();  // the closing >
  return text(out, ", tare::linear_cuda::Epilogue::", kNames[static_cast<size_t>(epilogue)], ">");
}
std::string label(const AnyConfig& config) {
  return std::visit([](const auto& c) { return label(c); }, config);
}
std::string source(const AnyConfig& config) {
  static constexpr const char* kNames[] = {"strip", "cluster", "stream", "wide", "portable"};
  return text("plugins/linear/cuda/", kNames[config.index()], ".cuh");
}
AnyConfig dense_variant(const AnyConfig& config) {
  return std::visit([](const auto& c) { return AnyConfig(fit_stages(c)); }, config);
}

Result<Workspace> make_workspace(const Toolbox& tools, Stream& stream) {
  Workspace out;
  TARE_ASSIGN_OR_RETURN(out.partials, tools.device.allocate(kPartialBytes, Purpose::workspace, "linear/partial sums"));
  TARE_ASSIGN_OR_RETURN(out.flags, tools.device.allocate(kFlagBytes, Purpose::workspace, "linear/flags"));
  TARE_RETURN_IF_ERROR(tools.device.fill(stream, out.flags->data(), 0, kFlagBytes));
  TARE_RETURN_IF_ERROR(stream.synchronize());
  return out;
}

MatrixView view_of(const ResidentMatrix& matrix) {
  return {matrix.shape, static_cast<const uint8_t*>(matrix.payload->data()),
          matrix.headers ? static_cast<const uint8_t*>(matrix.headers->data()) : nullptr,
          matrix.overflow ? static_cast<const uint32_t*>(matrix.overflow->data()) : nullptr};
}

bool writes_f32(const AnyConfig& config) noexcept { return !std::holds_alternative<WideConfig>(config); }
bool is_gated(const AnyConfig& config) noexcept {
  const auto* strip = std::get_if<StripConfig>(&config);
  return strip != nullptr && strip->gated;
}
bool pairs_up(const AnyConfig& config) noexcept {
  return std::holds_alternative<StripConfig>(config) || std::holds_alternative<ClusterConfig>(config);
}

int64_t flag_bytes(const AnyConfig& config, const MatrixShape& matrix, int32_t tokens,
                   int32_t multiprocessors) noexcept {
  int64_t flags = 0;
  if (const auto* stream = std::get_if<StreamConfig>(&config)) {
    flags = tiles(*stream, matrix.order.rows, tokens);
  } else if (const auto* wide = std::get_if<WideConfig>(&config)) {
    const int64_t all = tiles(*wide, matrix.order.rows, tokens);
    const int64_t rest = multiprocessors / kWideCluster / wide->shares;  // tiles of a last round, at most
    flags = wide->cut ? int64_t{2} * multiprocessors                     // at most two cut tiles a cluster
            : wide->shares > 1
                ? (wide->rest_leaves > 0 ? rest : all) * wide->shares * wide->shares * kWideCluster * wide->row_groups
                : 0;
  }
  return flags * static_cast<int64_t>(sizeof(uint32_t));
}

Result<Product> Product::prepare(const Toolbox& tools, const AnyConfig& config, const ResidentMatrix& matrix,
                                 const uint16_t* activations, uint16_t* output, int32_t tokens,
                                 const Workspace& workspace, bool dependent) {
  if (const Verdict v = accepts(config, matrix.shape, tokens, tools.launcher.multiprocessors()); !v) {
    return failure(tare::Code::unsupported, label(config), " cannot run: ", v.reason);
  }
  TARE_ASSIGN_OR_RETURN(Product out, load(tools, config, view_of(matrix), dependent));
  TARE_RETURN_IF_ERROR(
      out.aim(activations, {.bf16 = output}, tokens, workspace.partials->data(), workspace.flags->data()));
  return out;
}

Result<Product> Product::load(const Toolbox& tools, const AnyConfig& config, const MatrixView& matrix, bool dependent,
                              Epilogue epilogue) {
  TARE_ASSIGN_OR_RETURN(Product out, describe(tools, config, matrix, dependent, epilogue));
  TARE_RETURN_IF_ERROR(out.compile(tools));
  return out;
}

Status Product::compile(const Toolbox& tools) {
  TARE_ASSIGN_OR_RETURN(const auto compiled, tools.jit.compile({source(config_), expression(config_, epilogue_),
                                                                std::string(tools.launcher.architecture())}));
  TARE_ASSIGN_OR_RETURN(kernel_, tools.launcher.load(*compiled, shape_.shared_bytes));
  return {};
}

Result<Product> Product::describe(const Toolbox& tools, const AnyConfig& config, const MatrixView& matrix,
                                  bool dependent, Epilogue epilogue) {
  Product out;
  out.config_ = config, out.epilogue_ = epilogue, out.matrix_ = matrix.shape;
  out.launcher_ = &tools.launcher;
  out.shape_ =
      std::visit(Shape{matrix.shape.order.rows, 1, matrix.shape.leaves, tools.launcher.multiprocessors()}, config);
  out.shape_.dependent = dependent;
  if (const SlotSpan span = std::visit(SpanOf{}, config); span.tensor) {
    const MatrixShape& m = matrix.shape;
    TARE_ASSIGN_OR_RETURN(out.records_[0],
                          tools.launcher.tensor_map(record_map(matrix.payload, payload_bytes(m.code), m.order, span)));
    if (matrix.headers != nullptr) {
      TARE_ASSIGN_OR_RETURN(
          out.records_[1],
          tools.launcher.tensor_map(record_map(matrix.headers, header_bytes(m.code, m.header_blocks), m.order, span)));
    }
  }
  out.maps_ = std::visit(BoxOf{}, config).maps;
  out.arguments_ = {
      .payload = matrix.payload,
      .headers = matrix.headers,
      .overflow = matrix.overflow,
      .activations = nullptr,
      .output = nullptr,
      .partials = nullptr,
      .flags = nullptr,
      .scale = matrix.shape.code != WeightCode::kDense ? std::ldexp(1.0f, matrix.shape.base - kDecodedExponent) : 1.0f,
      .tokens = 0,
      .rows = matrix.shape.order.rows,
      .columns = matrix.shape.order.columns,
      .strips_per_block = matrix.shape.order.strips_per_block,
      .leaves = matrix.shape.leaves,
      .bias = nullptr,
      .output_f32 = nullptr,
      .other = nullptr,
      .paired = 0};
  return out;
}

Status Product::aim(const uint16_t* activations, const ProductOutput& output, int32_t tokens, void* partials,
                    void* flags) {
  if (output.f32 != nullptr && !writes_f32(config_))
    return failure(tare::Code::unsupported, label(config_), " writes bf16 alone");
  if ((epilogue_ != Epilogue::kNone) != (output.other != nullptr) || (output.other != nullptr && output.f32 != nullptr))
    return failure(tare::Code::internal, label(config_), ": an epilogue and what it takes do not go together");
  const RecordOrder& order = matrix_.order;
  const bool dependent = shape_.dependent;
  shape_ = std::visit(Shape{order.rows, tokens, matrix_.leaves, launcher_->multiprocessors()}, config_);
  shape_.dependent = dependent;
  if (const Box box = std::visit(BoxOf{}, config_); box.maps > 0) {
    // [chunk][token][64 columns], so that one box brings neighbouring chunks as separate swizzled tiles
    jit::TensorMapRequest request;
    request.address = activations;
    request.dimensions = 3;
    request.sizes[0] = kChunkColumns, request.sizes[1] = static_cast<uint64_t>(tokens);
    request.sizes[2] = static_cast<uint64_t>(order.chunks());
    request.strides[1] = static_cast<uint64_t>(order.columns) * 2, request.strides[2] = kChunkColumns * 2;
    request.box[0] = kChunkColumns, request.box[1] = box.tokens, request.box[2] = box.chunks;
    TARE_ASSIGN_OR_RETURN(activations_, launcher_->tensor_map(request));
    if (box.maps > 1) {
      jit::TensorMapRequest out;
      out.address = output.bf16;
      out.sizes[0] = static_cast<uint64_t>(order.rows), out.sizes[1] = static_cast<uint64_t>(tokens);
      out.strides[1] = static_cast<uint64_t>(order.rows) * 2;
      out.box[0] = 64, out.box[1] = 64;
      TARE_ASSIGN_OR_RETURN(output_, launcher_->tensor_map(out));
    }
  }
  arguments_.activations = activations;
  arguments_.output = output.bf16, arguments_.output_f32 = output.f32, arguments_.bias = output.bias;
  arguments_.other = output.other, arguments_.paired = output.paired;
  arguments_.partials = static_cast<float*>(partials), arguments_.flags = static_cast<uint32_t*>(flags);
  arguments_.tokens = tokens;
  return {};
}

Status Product::launch(Stream& stream) {
  void* two_maps[] = {&activations_, &output_, &records_, &arguments_};
  void* one_map[] = {&activations_, &records_, &arguments_};
  return launcher_->launch(stream, *kernel_, shape_, maps_ == 2 ? two_maps : maps_ == 1 ? one_map : two_maps + 3);
}

}  // namespace tare::linear_cuda
