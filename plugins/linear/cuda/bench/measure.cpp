#include "plugins/linear/cuda/bench/measure.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace tare::linear_cuda::bench {
namespace {

constexpr double kColdLayerBytes = 1.2e9, kColdMatrixBytes = 150e6;  // what replays read before they begin again

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}
double weights_of(const Matrix& m) { return static_cast<double>(m.spec.rows) * m.spec.columns; }
// A replay lasts 1 to 3 ms: long enough for the clock, short enough not to meet the power cap.
int calls_of(const Matrix& m, int32_t tokens) {
  const double gigaflops = 2e-9 * weights_of(m) * tokens;
  return std::clamp(static_cast<int>(1500 / std::max(gigaflops, 1.0)), 4, 32);
}

}  // namespace

Measurement::Measurement(const LinearBenchRequest& request, Lab& lab, VendorProducts* vendor, jit::Jit& jit,
                         const DeviceInfo& info)
    : request_(request),
      lab_(lab),
      vendor_(vendor),
      jit_(jit),
      info_(info),
      kind_(kind_of(request.weights)),
      code_(code_of(request.code)),
      layer_(lab, vendor, info.units, std::string(lab.tools().launcher.architecture())) {}

void Measurement::say(const char* format, ...) const {
  if (!request_.say) return;
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  request_.say(line);
}
void Measurement::record(const std::string& json) const {
  if (request_.record) request_.record(json);
}
void Measurement::stop_if_asked() const {
  if (request_.stopped && request_.stopped()) throw Lost{failure(Code::cancelled, "stopped")};
}

void Measurement::run() {
  for (const auto& list : {request_.rows, request_.odd_rows})
    for (const int64_t rows : list)
      if (rows < 1 || rows > kMostTokens) throw Lost{invalid(rows, " rows, expected 1 to ", kMostTokens)};
  if (request_.rows.empty()) throw Lost{invalid("no number of rows to measure")};
  lay();
  bandwidth_ = lab_.read_bandwidth();
  say("# reads %.2f TB/s; the layer's bytes at that rate: %.1f us", bandwidth_ * 1e-12,
      layer_bytes_ / bandwidth_ * 1e6);
  compile();
  if (request_.check) {
    for (const int64_t tokens : request_.odd_rows)
      for (Matrix& m : layer_.matrices())
        for (const AnyConfig& c :
             candidates(m.packed[0].shape, static_cast<int32_t>(tokens), info_.units, layer_.architecture())) {
          stop_if_asked();
          check(m, c, static_cast<int32_t>(tokens));
        }
    say("# odd row counts: %llu comparisons, %llu wrong", static_cast<unsigned long long>(compared_),
        static_cast<unsigned long long>(wrong_));
  }
  for (const int64_t rows : request_.rows) {
    const auto tokens = static_cast<int32_t>(rows);
    Found found;
    for (size_t i = 0; i < layer_.matrices().size(); ++i) single(i, tokens, found);
    if (request_.free_order) price_of_order(tokens, found);
    chained(tokens, found);
  }
  say("EXACT %llu comparisons of whole outputs with the dense reference, %llu wrong",
      static_cast<unsigned long long>(compared_), static_cast<unsigned long long>(wrong_));
  record(text("{\"kind\":\"exactness\",\"comparisons\":", compared_, ",\"wrong\":", wrong_, "}"));
}

void Measurement::lay() {
  const auto start = std::chrono::steady_clock::now();
  double layer_weights = 0;
  for (const LayerProduct& p : request_.products) {
    spec_of(p);  // all refusals before the first work
    if (p.chained) layer_weights += static_cast<double>(p.outputs * p.inputs);
  }
  const auto most = static_cast<int32_t>(
      std::max<int64_t>({*std::ranges::max_element(request_.rows),
                         request_.odd_rows.empty() ? 1 : *std::ranges::max_element(request_.odd_rows), 256}));
  const int of_layer =
      std::clamp(static_cast<int>(std::ceil(kColdLayerBytes / std::max(1.0, layer_weights * 1.5))), 2, 8);
  for (const LayerProduct& p : request_.products) {
    stop_if_asked();
    const double bytes = static_cast<double>(p.outputs * p.inputs) * 1.5;
    const int copies =
        std::max(p.chained ? of_layer : 2, std::min(64, static_cast<int>(std::ceil(kColdMatrixBytes / bytes))));
    layer_.add(spec_of(p), kind_, copies, most, most, request_.dense && p.chained, code_);
    chained_.push_back(p.chained);
    const Matrix& m = layer_.matrices().back();
    if (p.chained) layer_bytes_ += m.bits_per_weight * weights_of(m) / 8, layer_flops_ += 2 * weights_of(m);
  }
  say("# data made, packed, checked in %.2f s", seconds_since(start));
  for (const Matrix& m : layer_.matrices()) describe(m);
}

void Measurement::describe(const Matrix& m) {
  const double error = lab_.relative_error(m.plain[0]->data(), m.activations->data(), m.reference->data(),
                                           m.reference_tokens, m.spec.rows, m.spec.columns);
  const MatrixShape& s = m.packed[0].shape;
  if (!m.unpacks_exactly) ++wrong_;
  say("# %-8s %6d x %5d %s, %d header blocks, %.4f bits a weight, %u escapes in the overflow list, base %d, unpacks "
      "%s, reference %.2e from double precision",
      m.spec.name.c_str(), m.spec.rows, m.spec.columns, name(s.code), s.header_blocks, m.bits_per_weight,
      m.packed[0].overflow_entries, s.base, m.unpacks_exactly ? "exactly" : "WRONGLY", error);
  record(text("{\"kind\":\"matrix\",\"device\":\"", info_.name, "\",\"shape\":\"", request_.shape, "\",\"weights\":\"",
              bench::name(kind_), "\",\"name\":\"", m.spec.name, "\",\"rows\":", m.spec.rows, ",\"columns\":",
              m.spec.columns, ",\"leaves\":", s.leaves, ",\"strips_per_block\":", s.order.strips_per_block,
              ",\"bits_per_weight\":", m.bits_per_weight, ",\"overflow_entries\":", m.packed[0].overflow_entries,
              ",\"unpacks_exactly\":", m.unpacks_exactly ? "true" : "false",
              ",\"reference_error\":", std::isfinite(error) ? text(error) : "null", "}"));
}

// Leaves that the free choice may take besides the matrix's own.
std::vector<int32_t> Measurement::other_orders(size_t matrix) const {
  std::vector<int32_t> out;
  if (!request_.free_order || !chained_[matrix]) return out;
  const Matrix& m = const_cast<Layer&>(layer_).matrices()[matrix];
  for (const int32_t leaves : {1, 2, 4})
    if (leaves != m.packed[0].shape.leaves && m.spec.columns % (kChunkColumns * leaves) == 0) out.push_back(leaves);
  return out;
}

void Measurement::compile() {
  std::vector<jit::KernelRequest> requests;
  const auto want = [&](const AnyConfig& c) {
    jit::KernelRequest r{source(c), expression(c), layer_.architecture()};
    if (std::ranges::find(requests, r) == requests.end()) requests.push_back(std::move(r));
  };
  std::vector<int64_t> rows = request_.rows;
  if (request_.check) rows.insert(rows.end(), request_.odd_rows.begin(), request_.odd_rows.end());
  for (size_t i = 0; i < layer_.matrices().size(); ++i)
    for (const int64_t count : rows) {
      const auto tokens = static_cast<int32_t>(count);
      MatrixShape shape = layer_.matrices()[i].packed[0].shape;
      for (const AnyConfig& c : candidates(shape, tokens, info_.units, layer_.architecture())) {
        want(c);
        if (request_.check || request_.dense) want(dense_variant(c));
      }
      for (const int32_t leaves : other_orders(i)) {
        shape.leaves = leaves;
        for (const AnyConfig& c : candidates(shape, tokens, info_.units, layer_.architecture())) want(c);
      }
    }
  const auto start = std::chrono::steady_clock::now();
  const auto all = jit_.compile_all(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    must(all[i].ok() ? Status() : all[i].status());
    kernels_.add(requests[i], **all[i]);
  }
  say("# %zu kernels compiled or found in %.2f s", requests.size(), seconds_since(start));
  if (const std::string missing = kernels_.missing(); !missing.empty()) say("# %s", missing.c_str());
}

uint64_t Measurement::check(Matrix& m, const AnyConfig& c, int32_t tokens) {
  if (!request_.check) return 0;
  const uint64_t packed = layer_.differing(m, c, tokens, false), dense = layer_.differing(m, c, tokens, true);
  compared_ += 2;
  if (packed + dense > 0) {
    ++wrong_;
    say("WRONG %-8s M=%-4d %-44s %llu (%s) and %llu (dense) outputs differ from the reference", m.spec.name.c_str(),
        tokens, label(c).c_str(), static_cast<unsigned long long>(packed), name(code_),
        static_cast<unsigned long long>(dense));
  }
  return packed + dense;
}

void Measurement::single(size_t matrix, int32_t tokens, Found& found) {
  Matrix& m = layer_.matrices()[matrix];
  const int calls = calls_of(m, tokens);
  const auto [way, vendor_us] = layer_.best_baseline(m, tokens, calls);
  Best best;
  auto& timed = found.timed.emplace_back();
  for (const AnyConfig& c : candidates(m.packed[0].shape, tokens, info_.units, layer_.architecture())) {
    stop_if_asked();
    const uint64_t differing = check(m, c, tokens);
    if (std::holds_alternative<PortableConfig>(c) && best.us > 0) continue;  // checked, but nobody wants its time
    auto recorded = lab_.record(layer_.product(m, c, tokens, true), calls);
    const double us = lab_.burst_us(recorded, 5, rest_between_ms(tokens));
    say("ROW %-8s M=%-4d %-44s %8.2f us  %5.3fx%s", m.spec.name.c_str(), tokens, label(c).c_str(), us, vendor_us / us,
        differing > 0 ? "  WRONG BITS" : "");
    record(text("{\"kind\":\"candidate\",\"name\":\"", m.spec.name, "\",\"tokens\":", tokens, ",\"config\":\"",
                label(c), "\",\"us\":", us, ",\"differing\":", differing, "}"));
    if (differing != 0) continue;
    timed.push_back({c, us});
    if (best.us == 0 || us < best.us) best = {c, us};
  }
  if (best.us == 0)
    throw Lost{failure(Code::internal, "every kernel for ", m.spec.name, " at ", tokens,
                       " rows gives other bits than the reference")};
  // The winner and the baseline once more, side by side.
  const int rest = rest_ms(tokens);
  auto ours = lab_.record(layer_.product(m, best.config, tokens, true), calls);
  double ours_us = 0, theirs_us = 0, dense_us = 0;
  if (way >= 0) {
    auto theirs = lab_.record(layer_.baseline(m, tokens, way), calls);
    for (int round = 0; round < 2; ++round)
      theirs_us += lab_.burst_us(theirs, 7, rest) / 2, ours_us += lab_.burst_us(ours, 7, rest) / 2;
  } else {
    ours_us = lab_.burst_us(ours, 7, rest);
  }
  if (request_.dense && m.dense.size() == m.packed.size()) {
    auto dense = lab_.record(layer_.product(m, best.config, tokens, true, true), calls);
    dense_us = lab_.burst_us(dense, 7, rest);
  }
  const double share = static_cast<double>(m.packed[0].bytes()) / bandwidth_ * 1e6 / ours_us;
  say("BEST %-8s M=%-4d %-44s %8.2f us, vendor %8.2f, %5.3fx, %4.1f %% of the bandwidth limit, dense variant %.2f us",
      m.spec.name.c_str(), tokens, label(best.config).c_str(), ours_us, theirs_us, theirs_us / ours_us, share * 100,
      dense_us);
  record(text("{\"kind\":\"single\",\"device\":\"", info_.name, "\",\"shape\":\"", request_.shape, "\",\"weights\":\"",
              bench::name(kind_), "\",\"name\":\"", m.spec.name, "\",\"tokens\":", tokens, ",\"config\":\"",
              label(best.config), "\",\"us\":", ours_us, ",\"vendor_us\":", theirs_us, ",\"vendor_way\":", way,
              ",\"ratio\":", theirs_us / ours_us, ",\"dense_us\":", dense_us, ",\"bandwidth_share\":", share, "}"));
  found.ratios *= way >= 0 ? theirs_us / ours_us : 1;
  found.best.push_back(best), found.vendor_way.push_back(way);
}

void Measurement::price_of_order(int32_t tokens, Found& found) {
  for (size_t i = 0; i < layer_.matrices().size(); ++i) {
    if (!chained_[i]) continue;
    Matrix& m = layer_.matrices()[i];
    const int32_t own = m.packed[0].shape.leaves;
    double fastest = found.best[i].us;
    found.fixed_us += fastest;
    for (const int32_t leaves : other_orders(i)) {
      layer_.set_leaves(m, leaves);
      for (const AnyConfig& c : candidates(m.packed[0].shape, tokens, info_.units, layer_.architecture())) {
        stop_if_asked();
        if (std::holds_alternative<PortableConfig>(c)) continue;
        auto recorded = lab_.record(layer_.product(m, c, tokens, true), calls_of(m, tokens));
        fastest = std::min(fastest, lab_.burst_us(recorded, 5, rest_between_ms(tokens)));
      }
    }
    layer_.set_leaves(m, own);
    found.free_us += fastest;
  }
  if (found.free_us > 0)
    say("ORDER M=%-4d the products singly %.2f us, with the best order of this M %.2f us: price %.1f %%", tokens,
        found.fixed_us, found.free_us, (found.fixed_us / found.free_us - 1) * 100);
}

}  // namespace tare::linear_cuda::bench
