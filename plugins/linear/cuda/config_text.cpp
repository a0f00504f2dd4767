#include "plugins/linear/cuda/config_text.hpp"

#include <array>
#include <utility>

namespace tare::linear_cuda {
namespace {

// A kernel's name in text, and its fields in the order of printing.
template <class Config>
struct Text;  // NOLINT: specialised below

template <>
struct Text<StripConfig> {
  static constexpr std::string_view kernel = "strip";
  template <class Self, class Visitor>
  static void fields(Self& c, Visitor&& visit) {
    visit("tokens", c.tokens), visit("strips", c.strips), visit("k_groups", c.k_groups), visit("stages", c.stages);
    visit("sum_leaves", c.sum_leaves), visit("tensor_copies", c.tensor_copies), visit("gated", c.gated);
  }
};
template <>
struct Text<ClusterConfig> {
  static constexpr std::string_view kernel = "cluster";
  template <class Self, class Visitor>
  static void fields(Self& c, Visitor&& visit) {
    visit("tokens", c.tokens), visit("row_groups", c.row_groups), visit("k_groups", c.k_groups);
    visit("cluster", c.cluster), visit("stages", c.stages), visit("overlap", c.overlap);
    visit("tensor_copies", c.tensor_copies);
  }
};
template <>
struct Text<StreamConfig> {
  static constexpr std::string_view kernel = "stream";
  template <class Self, class Visitor>
  static void fields(Self& c, Visitor&& visit) {
    visit("tokens", c.tokens), visit("row_groups", c.row_groups), visit("stages", c.stages);
    visit("sum_leaves", c.sum_leaves), visit("tensor_copies", c.tensor_copies);
  }
};
template <>
struct Text<WideConfig> {
  static constexpr std::string_view kernel = "wide";
  template <class Self, class Visitor>
  static void fields(Self& c, Visitor&& visit) {
    visit("tokens", c.tokens), visit("row_groups", c.row_groups), visit("chunks", c.chunks);
    visit("weight_stages", c.weight_stages), visit("activation_stages", c.activation_stages),
        visit("sum_leaves", c.sum_leaves);
    visit("register_groups", c.register_groups), visit("output_buffers", c.output_buffers), visit("band", c.band);
    visit("cut", c.cut), visit("shares", c.shares);
    visit("rest_leaves", c.rest_leaves);
    visit("tensor_copies", c.tensor_copies);
  }
};
template <>
struct Text<PortableConfig> {
  static constexpr std::string_view kernel = "portable";
  template <class Self, class Visitor>
  static void fields(Self& c, Visitor&& visit) {
    visit("tokens", c.tokens), visit("strips", c.strips), visit("k_groups", c.k_groups);
  }
};

// So that to_attributes and from_attributes see the fields.
template <class Config>
struct Named {
  Config config{};
  template <class Self, class Visitor>
  static void fields(Self& self, Visitor&& visit) {
    Text<Config>::fields(self.config, visit);
  }
};

template <class Config>
concept HasText = requires { Text<Config>::kernel; };

template <class Config>
bool read(std::string_view kernel, const Attributes& fields, Result<AnyConfig>& out) {
  if constexpr (HasText<Config>) {
    if (kernel != Text<Config>::kernel) return false;
    auto named = from_attributes<Named<Config>>(fields);
    out = named.ok() ? Result<AnyConfig>(AnyConfig(named->config)) : Result<AnyConfig>(named.status());
    return true;
  }
  return false;
}
template <size_t... I>
bool read_any(std::string_view kernel, const Attributes& fields, Result<AnyConfig>& out, std::index_sequence<I...>) {
  return (read<std::variant_alternative_t<I, AnyConfig>>(kernel, fields, out) || ...);
}

}  // namespace

KernelConfig to_config(const AnyConfig& config) {
  return std::visit(
      [](const auto& c) -> KernelConfig {
        using Config = std::decay_t<decltype(c)>;
        if constexpr (HasText<Config>) {
          KernelConfig out{{"kernel", Symbol{std::string(Text<Config>::kernel)}}};
          for (Attribute& a : to_attributes(Named<Config>{c})) out.push_back(std::move(a));
          return out;
        }
        return {};
      },
      config);
}

Result<AnyConfig> from_config(const KernelConfig& config) {
  std::string kernel;
  Attributes fields;
  for (const Attribute& a : config) {
    if (a.name != "kernel")
      fields.push_back(a);
    else if (const auto* symbol = std::get_if<Symbol>(&a.value))
      kernel = symbol->name;
    else if (const auto* word = std::get_if<std::string>(&a.value))
      kernel = *word;
  }
  Result<AnyConfig> out = invalid("attribute 'kernel': found '", kernel, "', expected the name of a linear kernel");
  read_any(kernel, fields, out, std::make_index_sequence<std::variant_size_v<AnyConfig>>());
  return out;
}

AnyConfig adapted(const AnyConfig& config, const MatrixShape& matrix) {
  AnyConfig out = config;
  std::visit(
      [&](auto& c) {
        c.code = matrix.code;
        c.header_blocks = matrix.code == WeightCode::kDense ? 1 : matrix.header_blocks;
        if constexpr (requires { c.stages; }) {
          while (c.stages > 2 && shared_bytes(c) > kMaxSharedBytes) --c.stages;
        } else if constexpr (requires { c.weight_stages; }) {
          while (c.weight_stages > 2 && shared_bytes(c) > kMaxSharedBytes) --c.weight_stages;
          while (c.activation_stages > 2 && shared_bytes(c) > kMaxSharedBytes) --c.activation_stages;
        }
      },
      out);
  return out;
}

}  // namespace tare::linear_cuda
