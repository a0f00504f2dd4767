#include "plugins/linear/cuda/bench/layer.hpp"

#include <algorithm>
#include <cstdio>

#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda::bench {

WeightKind kind_of(const std::string& name_of_kind) {
  for (const WeightKind k : {WeightKind::gaussian, WeightKind::trained, WeightKind::clustered, WeightKind::adversarial})
    if (name_of_kind == name(k)) return k;
  throw Lost{invalid("weights are '", name_of_kind, "', expected trained, gaussian, clustered or adversarial")};
}
WeightCode code_of(const std::string& code) {
  if (code == "w12") return WeightCode::kW12;
  if (code == "w11") return WeightCode::kW11;
  throw Lost{invalid("the code is '", code, "', expected w12 or w11")};
}
const char* name(WeightCode code) {
  return code == WeightCode::kDense ? "dense" : code == WeightCode::kW12 ? "w12" : "w11";
}
MatrixSpec spec_of(const LayerProduct& p) {
  const WeightInfo info{p.name, DType::bf16, {p.outputs, p.inputs}, 1};
  if (const Verdict v = fits_records(info); !v) throw Lost{failure(Code::unsupported, p.name, ": ", v.reason)};
  return {p.name,
          static_cast<int32_t>(p.outputs),
          static_cast<int32_t>(p.inputs),
          {order_of(info).strips_per_block, leaves_of(info)}};
}

Layer::Layer(Lab& lab, VendorProducts* vendor, int32_t multiprocessors, std::string architecture)
    : lab_(lab), vendor_(vendor), multiprocessors_(multiprocessors), architecture_(std::move(architecture)) {}

void Layer::add(const MatrixSpec& spec, WeightKind kind, int copies, int32_t max_tokens, int32_t reference_tokens,
                bool dense_copies, WeightCode code) {
  Matrix m;
  m.spec = spec;
  const RecordOrder order{spec.rows, spec.columns, spec.placement.strips_per_block};
  const size_t weights = static_cast<size_t>(spec.rows) * static_cast<size_t>(spec.columns);
  for (int i = 0; i < copies; ++i) {
    m.plain.push_back(lab_.memory(weights * 2, "bench/plain weights"));
    lab_.fill_weights(m.plain.back()->data(), spec.rows, spec.columns, kind, static_cast<uint64_t>(i + 1));
    const auto* plain = static_cast<const uint16_t*>(m.plain.back()->data());
    m.packed.push_back(
        must(pack_matrix(lab_.tools(), lab_.stream(), plain, order, spec.placement.leaves, code, spec.name)));
    if (i == 0 || dense_copies) {
      m.dense.push_back(must(pack_matrix(lab_.tools(), lab_.stream(), plain, order, spec.placement.leaves,
                                         WeightCode::kDense, spec.name)));
    }
  }
  m.bits_per_weight = static_cast<double>(m.packed[0].bytes()) * 8 / static_cast<double>(weights);
  {
    const auto back = lab_.memory(weights * 2, "bench/unpacked");
    lab_.poison(back->data(), weights * 2);
    must(unpack_matrix(lab_.tools(), lab_.stream(), m.packed[0], static_cast<uint16_t*>(back->data())));
    m.unpacks_exactly = lab_.differences(back->data(), m.plain[0]->data(), static_cast<int64_t>(weights)) == 0;
  }
  m.activations =
      lab_.memory(static_cast<size_t>(max_tokens) * static_cast<size_t>(spec.columns) * 2, "bench/activations");
  lab_.fill_activations(m.activations->data(), int64_t{max_tokens} * spec.columns, 99);
  const size_t outputs = static_cast<size_t>(max_tokens) * static_cast<size_t>(spec.rows) * 2;
  m.output = lab_.memory(outputs, "bench/output");
  m.reference =
      lab_.memory(static_cast<size_t>(reference_tokens) * static_cast<size_t>(spec.rows) * 2, "bench/reference");
  m.reference_tokens = reference_tokens;
  // The reference: the portable kernel on dense records, one pass over all rows.
  const PortableConfig portable{
      .code = WeightCode::kDense, .header_blocks = 1, .tokens = 32, .strips = 4, .k_groups = 1};
  auto product =
      must(Product::prepare(lab_.tools(), portable, m.dense[0], static_cast<const uint16_t*>(m.activations->data()),
                            static_cast<uint16_t*>(m.reference->data()), reference_tokens, lab_.workspace(), false));
  must(product.launch(lab_.stream()));
  must(lab_.stream().synchronize());
  matrices_.push_back(std::move(m));
}

Lab::Work Layer::product(Matrix& m, const AnyConfig& config, int32_t tokens, bool dependent, bool dense) {
  auto products = std::make_shared<std::vector<Product>>();
  for (ResidentMatrix& copy : dense ? m.dense : m.packed) {
    products->push_back(must(Product::prepare(
        lab_.tools(), dense ? dense_variant(config) : config, copy, static_cast<const uint16_t*>(m.activations->data()),
        static_cast<uint16_t*>(m.output->data()), tokens, lab_.workspace(), dependent)));
  }
  return [products](Stream& stream, int i) {
    return (*products)[static_cast<size_t>(i) % products->size()].launch(stream);
  };
}

void Layer::set_leaves(Matrix& m, int32_t leaves) {
  for (ResidentMatrix& copy : m.packed) copy.shape.leaves = leaves;
}

Lab::Work Layer::baseline(Matrix& m, int32_t tokens, int which) {
  return [this, &m, tokens, which](Stream& stream, int i) {
    return vendor_->run({tokens, m.spec.rows, m.spec.columns}, which, stream,
                        m.plain[static_cast<size_t>(i) % m.plain.size()]->data(), m.activations->data(),
                        m.output->data());
  };
}

uint64_t Layer::differing(Matrix& m, const AnyConfig& config, int32_t tokens, bool dense) {
  const int32_t compared = std::min(tokens, m.reference_tokens);
  lab_.poison(m.output->data(), static_cast<size_t>(tokens) * static_cast<size_t>(m.spec.rows) * 2);
  must(product(m, config, tokens, false, dense)(lab_.stream(), 0));
  must(lab_.stream().synchronize());
  return lab_.differences(m.output->data(), m.reference->data(), int64_t{compared} * m.spec.rows);
}

std::pair<int, double> Layer::best_baseline(Matrix& m, int32_t tokens, int calls) {
  if (vendor_ == nullptr) return {-1, 0};
  const int ways = must(vendor_->prepare({tokens, m.spec.rows, m.spec.columns}, 8));
  std::pair<int, double> best{-1, 0};
  for (int which = 0; which < ways; ++which) {
    auto recorded = lab_.record(baseline(m, tokens, which), calls);
    const double us = lab_.burst_us(recorded, 5, tokens >= 128 ? 20 : 0);
    if (best.first < 0 || us < best.second) best = {which, us};
  }
  return best;
}

}  // namespace tare::linear_cuda::bench
