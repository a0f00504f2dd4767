// bench_linear_cuda: the products of a Llama-3.1-8B layer on cuda:0, singly and chained, against cuBLAS and the best of
// 8 cublasLt heuristics, interleaved in one process, with exactness checks. Writes a table to the terminal and JSON
// lines to a file.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "jit/compile/nvrtc.hpp"
#include "jit/device_bundle.hpp"
#include "jit/host.hpp"
#include "plugins/device_cuda/provider.hpp"
#include "plugins/linear/cuda/bench/layer.hpp"
#include "plugins/linear/cuda/bundle.hpp"

namespace tare::jit {
SourceBundle linear_bench_bundle();
}

namespace tare::linear_cuda::bench {
namespace {

struct Options {
  std::string nvrtc, cublas, cache, driver, out = "bench.jsonl";
  std::vector<int32_t> rows{1, 8, 16, 32, 64, 128, 256};
  std::vector<int32_t> odd_rows{7, 33, 200};  // checked, not timed
  WeightKind kind = WeightKind::trained;
  bool lm_head = false, check = true, all = true, dense = false;
  double sustained_seconds = 0;
  int32_t strips = 2;  // per block, of o and down
  WeightCode code = WeightCode::kW12;
  bool free_order = false;            // up to 128 tokens: what the best order of each number of tokens would take
  bool hot = false;                   // sustained time of each candidate of gate_up
  std::vector<std::string> launches;  // "matrix:tokens:label": launched once each and nothing else, for a profiler
};

const char* name(WeightCode code) {
  return code == WeightCode::kDense ? "dense" : code == WeightCode::kW12 ? "w12" : "w11";
}

std::vector<int32_t> numbers(const char* list) {
  std::vector<int32_t> out;
  std::istringstream in(list);
  for (std::string item; std::getline(in, item, ',');) out.push_back(std::atoi(item.c_str()));
  return out;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    auto value = [&] { return i + 1 < argc ? argv[++i] : ""; };
    if (arg == "--nvrtc")
      o.nvrtc = value();
    else if (arg == "--cublas")
      o.cublas = value();
    else if (arg == "--driver")
      o.driver = value();
    else if (arg == "--cache")
      o.cache = value();
    else if (arg == "--out")
      o.out = value();
    else if (arg == "--rows")
      o.rows = numbers(value());
    else if (arg == "--odd-rows")
      o.odd_rows = numbers(value());
    else if (arg == "--kind")
      o.kind = static_cast<WeightKind>(std::atoi(value()));
    else if (arg == "--strips")
      o.strips = std::atoi(value());
    else if (arg == "--code")
      o.code = std::strcmp(value(), "w11") == 0 ? WeightCode::kW11 : WeightCode::kW12;
    else if (arg == "--free-order")
      o.free_order = true;
    else if (arg == "--hot")
      o.hot = true;
    else if (arg == "--launch")
      o.launches.emplace_back(value());
    else if (arg == "--lm-head")
      o.lm_head = true;
    else if (arg == "--no-check")
      o.check = false;
    else if (arg == "--dense")
      o.dense = true;
    else if (arg == "--sustained")
      o.sustained_seconds = std::atof(value());
    else {
      std::fprintf(stderr, "bench_linear_cuda: unknown option %s\n", arg.c_str());
      std::exit(2);
    }
  }
  return o;
}

class Log {
 public:
  explicit Log(const std::string& path) : file_(std::fopen(path.c_str(), "w")) {}
  ~Log() {
    if (file_ != nullptr) std::fclose(file_);
  }
  Log(const Log&) = delete;
  void line(const std::string& json) {
    if (file_ == nullptr) return;
    std::fprintf(file_, "%s\n", json.c_str());
    std::fflush(file_);
  }

 private:
  std::FILE* file_;
};

// Four products, one after the other.
Lab::Work chain(std::vector<Lab::Work> works) {
  return [works = std::move(works)](Stream& stream, int i) {
    for (const Lab::Work& work : works) TARE_RETURN_IF_ERROR(work(stream, i));
    return Status();
  };
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Best {
  AnyConfig config = PortableConfig{};
  double us = 0;
};
// A kernel as records name it: what compiles it again on another day.
std::string kernel(const Best& best) {
  return text("{\"source\":\"", source(best.config), "\",\"expression\":\"", expression(best.config), "\"}");
}

// Leaves that the free choice may take besides the matrix's own: where few tokens make the order matter.
std::vector<int32_t> other_orders(const Options& o, const Matrix& m, int32_t tokens) {
  std::vector<int32_t> out;
  if (!o.free_order || tokens > 128 || m.spec.name == "lm_head") return out;
  for (const int32_t leaves : {1, 2, 4}) {
    if (leaves != m.packed[0].shape.leaves) out.push_back(leaves);
  }
  return out;
}

void compile_everything(jit::Jit& jit, Layer& layer, const Options& o, const std::string& architecture) {
  std::vector<jit::KernelRequest> requests;
  auto want = [&](const AnyConfig& c) {
    jit::KernelRequest r{source(c), expression(c), architecture};
    if (std::find(requests.begin(), requests.end(), r) == requests.end()) requests.push_back(std::move(r));
  };
  std::vector<int32_t> rows = o.rows;
  rows.insert(rows.end(), o.odd_rows.begin(), o.odd_rows.end());
  for (Matrix& m : layer.matrices()) {
    for (const int32_t tokens : rows) {
      for (const AnyConfig& c : candidates(m.packed[0].shape, tokens, layer.multiprocessors(), architecture)) {
        want(c);
        if (o.check || o.dense) want(dense_variant(c));
      }
      for (const int32_t leaves : other_orders(o, m, tokens)) {
        MatrixShape shape = m.packed[0].shape;
        shape.leaves = leaves;
        for (const AnyConfig& c : candidates(shape, tokens, layer.multiprocessors(), architecture)) want(c);
      }
    }
  }
  const auto start = std::chrono::steady_clock::now();
  for (const auto& kernel : jit.compile_all(requests)) must(kernel.ok() ? Status() : kernel.status());
  std::printf("# %zu kernels compiled or found in %.2f s\n", requests.size(), seconds_since(start));
}

std::vector<MatrixSpec> layer_specs(const Options& o) {
  return {{"qkv", 6144, 4096, {4, 2}},
          {"o", 4096, 4096, {o.strips, 4}},
          {"gate_up", 28672, 4096, {16, 1}},
          {"down", 4096, 14336, {o.strips, 4}}};
}

// Each of o.launches once, without dependent launch: what a profiler looks at. One copy of each matrix. The label
// "vendor" is cuBLAS's own choice.
int launch_only(const Options& o, Lab& lab, Layer& layer, VendorProducts* vendor) {
  for (const std::string& wanted : o.launches) {
    const size_t first = wanted.find(':'), second = wanted.find(':', first + 1);
    if (second == std::string::npos) must(invalid("--launch takes matrix:tokens:label, not ", wanted));
    const std::string which = wanted.substr(0, first), what = wanted.substr(second + 1);
    const int32_t tokens = std::atoi(wanted.c_str() + first + 1);
    auto found = std::find_if(layer.matrices().begin(), layer.matrices().end(),
                              [&](const Matrix& m) { return m.spec.name == which; });
    if (found == layer.matrices().end()) {
      for (const MatrixSpec& spec : layer_specs(o)) {
        if (spec.name == which) layer.add(spec, o.kind, 1, 4096, 1, false, o.code);
      }
      found = layer.matrices().end() - 1;
    }
    if (what == "vendor" && vendor != nullptr) {
      must(vendor->prepare({tokens, found->spec.rows, found->spec.columns}, 8));
      must(layer.baseline(*found, tokens, 0)(lab.stream(), 0));
      must(lab.stream().synchronize());
      continue;
    }
    bool any = false;
    for (const AnyConfig& c :
         candidates(found->packed[0].shape, tokens, layer.multiprocessors(), layer.architecture())) {
      if (label(c) != what) continue;
      any = true;
      must(layer.product(*found, c, tokens, false)(lab.stream(), 0));
      must(lab.stream().synchronize());
      std::printf("LAUNCHED %s M=%d %s\n", which.c_str(), tokens, what.c_str());
    }
    if (!any) std::printf("no candidate of %s at M=%d is called %s\n", which.c_str(), tokens, what.c_str());
  }
  return 0;
}

int run(const Options& o) {
  const auto provider = cuda::make_provider(o.driver);
  const auto found = provider->found();
  for (const std::string& note : found.notes) std::printf("# %s\n", note.c_str());
  if (found.devices.empty()) {
    std::printf("skipped: no CUDA device\n");
    return 0;
  }
  const auto device = must(provider->open("cuda:0", {}));
  auto& launcher = *static_cast<jit::CudaLaunch*>(device->query(jit::CudaLaunch::kInterface));
  jit::JitOptions jit_options;
  jit_options.cache_folder = o.cache;
  jit_options.nvrtc_folders = jit::nvrtc_folders(o.nvrtc);
  auto jit = jit::make_jit(std::move(jit_options));
  for (const auto& bundle : {jit::device_bundle(), jit::linear_bundle(), jit::linear_bench_bundle()})
    must(jit->add_bundle(bundle));
  const DeviceInfo& info = device->info();
  const std::string architecture(launcher.architecture());
  std::printf("# %s, %s, %d multiprocessors\n", info.name.c_str(), architecture.c_str(), info.units);

  Lab lab(*device, launcher, *jit);
  auto* vendor = static_cast<VendorProducts*>(device->query(VendorProducts::kInterface));
  if (const Status found_vendor = vendor->open({o.cublas}); !found_vendor.ok()) {
    std::printf("# no baseline: %s\n", found_vendor.message().c_str());
    vendor = nullptr;
  }
  Layer layer(lab, vendor, info.units, architecture);
  if (!o.launches.empty()) return launch_only(o, lab, layer, vendor);
  Log log(o.out);

  const int32_t most = std::max(*std::max_element(o.rows.begin(), o.rows.end()), 256), reference = most;
  auto start = std::chrono::steady_clock::now();
  for (const MatrixSpec& spec : layer_specs(o)) layer.add(spec, o.kind, 4, most, reference, o.dense, o.code);
  if (o.lm_head) layer.add({"lm_head", 128256, 4096, {16, 1}}, o.kind, 2, most, reference, false, o.code);
  std::printf("# data made, packed, checked in %.2f s\n", seconds_since(start));
  double layer_bits = 0;
  for (Matrix& m : layer.matrices()) {
    const double weights = static_cast<double>(m.spec.rows) * m.spec.columns;
    const double error = lab.relative_error(m.plain[0]->data(), m.activations->data(), m.reference->data(),
                                            m.reference_tokens, m.spec.rows, m.spec.columns);
    if (m.spec.name != "lm_head") layer_bits += m.bits_per_weight * weights;
    const MatrixShape& s = m.packed[0].shape;
    std::printf(
        "# %-8s %6d x %5d %s, %d header blocks, %.4f bits a weight, %u escapes in the overflow list, base %d, unpacks "
        "%s, reference %.2e from double precision\n",
        m.spec.name.c_str(), m.spec.rows, m.spec.columns, name(s.code), s.header_blocks, m.bits_per_weight,
        m.packed[0].overflow_entries, s.base, m.unpacks_exactly ? "exactly" : "WRONGLY", error);
    log.line(text("{\"kind\":\"matrix\",\"device\":\"", info.name, "\",\"weights\":\"", name(o.kind), "\",\"name\":\"",
                  m.spec.name, "\",\"rows\":", m.spec.rows, ",\"columns\":", m.spec.columns, ",\"leaves\":", s.leaves,
                  ",\"strips_per_block\":", s.order.strips_per_block, ",\"bits_per_weight\":", m.bits_per_weight,
                  ",\"overflow_entries\":", m.packed[0].overflow_entries,
                  ",\"unpacks_exactly\":", m.unpacks_exactly ? "true" : "false", ",\"reference_error\":", error, "}"));
  }
  const double bandwidth = lab.read_bandwidth();
  const double limit_us = layer_bits / 8 / bandwidth * 1e6;
  std::printf("# reads %.2f TB/s; the layer's bytes at that rate: %.1f us\n", bandwidth * 1e-12, limit_us);
  compile_everything(*jit, layer, o, architecture);

  uint64_t wrong = 0, compared = 0;
  auto check = [&](Matrix& m, const AnyConfig& c, int32_t tokens) -> std::pair<uint64_t, uint64_t> {
    if (!o.check) return {0, 0};
    const std::pair<uint64_t, uint64_t> d{layer.differing(m, c, tokens, false), layer.differing(m, c, tokens, true)};
    compared += 2;
    if (d.first + d.second > 0) {
      ++wrong;
      std::printf("WRONG %-8s M=%-4d %-44s %llu (w12) and %llu (dense) outputs differ from the reference\n",
                  m.spec.name.c_str(), tokens, label(c).c_str(), static_cast<unsigned long long>(d.first),
                  static_cast<unsigned long long>(d.second));
    }
    return d;
  };
  for (const int32_t tokens : o.odd_rows) {
    for (Matrix& m : layer.matrices()) {
      for (const AnyConfig& c : candidates(m.packed[0].shape, tokens, info.units, architecture)) check(m, c, tokens);
    }
  }
  std::printf("# odd row counts: %llu comparisons, %llu wrong\n", static_cast<unsigned long long>(compared),
              static_cast<unsigned long long>(wrong));

  for (const int32_t tokens : o.rows) {
    const int rest = tokens >= 128 ? 60 : 5;
    std::vector<Best> best;
    std::vector<std::vector<Best>> timed;  // by matrix: what may also be best in the chain
    std::vector<int> vendor_way;
    double single_product = 1;
    for (Matrix& m : layer.matrices()) {
      // A replay lasts 1 to 3 ms: long enough for the clock, short enough not to meet the power cap.
      const double gigaflops = 2e-9 * m.spec.rows * m.spec.columns * tokens;
      const int calls = std::max(4, std::min(32, static_cast<int>(1500 / std::max(gigaflops, 1.0))));
      const auto [way, vendor_us] = layer.best_baseline(m, tokens, calls);
      Best b;
      timed.emplace_back();
      for (const AnyConfig& c : candidates(m.packed[0].shape, tokens, info.units, architecture)) {
        const auto differing = check(m, c, tokens);
        if (std::holds_alternative<PortableConfig>(c) && b.us > 0) continue;  // checked, but nobody wants its time
        auto recorded = lab.record(layer.product(m, c, tokens, true), calls);
        const double us = lab.burst_us(recorded, 5, tokens >= 128 ? 20 : 0);
        std::printf("ROW %-8s M=%-4d %-44s %8.2f us  %5.3fx%s\n", m.spec.name.c_str(), tokens, label(c).c_str(), us,
                    vendor_us / us, differing.first + differing.second > 0 ? "  WRONG BITS" : "");
        if (o.hot && m.spec.name == "gate_up") {
          const Lab::Sustained hot = lab.sustained(recorded, 0.6);
          std::printf("HOT M=%-4d %-44s %8.2f us %.3f GHz %.2f mJ\n", tokens, label(c).c_str(), hot.us, hot.gigahertz,
                      hot.millijoules);
        }
        log.line(text("{\"kind\":\"candidate\",\"name\":\"", m.spec.name, "\",\"tokens\":", tokens, ",\"config\":\"",
                      label(c), "\",\"us\":", us, ",\"differing\":", differing.first + differing.second, "}"));
        if (differing.first + differing.second != 0) continue;
        timed.back().push_back({c, us});
        if (b.us == 0 || us < b.us) b = {c, us};
      }
      // The winner and the baseline once more, side by side.
      auto ours = lab.record(layer.product(m, b.config, tokens, true), calls);
      double ours_us = 0, theirs_us = 0, dense_us = 0;
      if (way >= 0) {
        auto theirs = lab.record(layer.baseline(m, tokens, way), calls);
        const double t0 = lab.burst_us(theirs, 7, rest), o0 = lab.burst_us(ours, 7, rest),
                     t1 = lab.burst_us(theirs, 7, rest), o1 = lab.burst_us(ours, 7, rest);
        ours_us = (o0 + o1) / 2, theirs_us = (t0 + t1) / 2;
      } else {
        ours_us = lab.burst_us(ours, 7, rest);
      }
      if (o.dense && m.dense.size() == m.packed.size()) {
        auto dense = lab.record(layer.product(m, b.config, tokens, true, true), calls);
        dense_us = lab.burst_us(dense, 7, rest);
      }
      const double bytes = static_cast<double>(m.packed[0].bytes());
      std::printf(
          "BEST %-8s M=%-4d %-44s %8.2f us, vendor %8.2f, %5.3fx, %4.1f %% of the bandwidth limit, dense variant %.2f "
          "us\n",
          m.spec.name.c_str(), tokens, label(b.config).c_str(), ours_us, theirs_us, theirs_us / ours_us,
          bytes / bandwidth * 1e6 / ours_us * 100, dense_us);
      log.line(text("{\"kind\":\"single\",\"device\":\"", info.name, "\",\"weights\":\"", name(o.kind),
                    "\",\"name\":\"", m.spec.name, "\",\"tokens\":", tokens, ",\"config\":\"", label(b.config),
                    "\",\"us\":", ours_us, ",\"vendor_us\":", theirs_us, ",\"vendor_way\":", way,
                    ",\"ratio\":", theirs_us / ours_us, ",\"dense_us\":", dense_us,
                    ",\"bandwidth_share\":", bytes / bandwidth * 1e6 / ours_us, "}"));
      single_product *= theirs_us / ours_us;
      best.push_back(b);
      vendor_way.push_back(way);
    }
    double fixed_us = 0, free_us = 0;
    for (size_t i = 0; o.free_order && tokens <= 128 && i < 4; ++i) {
      Matrix& m = layer.matrices()[i];
      const int32_t own = m.packed[0].shape.leaves;
      double fastest = best[i].us;
      fixed_us += fastest;
      for (const int32_t leaves : other_orders(o, m, tokens)) {
        layer.set_leaves(m, leaves);
        for (const AnyConfig& c : candidates(m.packed[0].shape, tokens, info.units, architecture)) {
          if (std::holds_alternative<PortableConfig>(c)) continue;
          auto recorded = lab.record(layer.product(m, c, tokens, true), 32);
          fastest = std::min(fastest, lab.burst_us(recorded, 5, tokens >= 128 ? 20 : 0));
        }
      }
      layer.set_leaves(m, own);
      free_us += fastest;
    }
    if (free_us > 0)
      std::printf("ORDER M=%-4d four products singly %.2f us, with the best order of this M %.2f us: price %.1f %%\n",
                  tokens, fixed_us, free_us, (fixed_us / free_us - 1) * 100);
    const int layers = tokens >= 4096 ? 1 : tokens >= 2048 ? 2 : tokens >= 1024 ? 4 : tokens >= 256 ? 8 : 16;
    // What is fastest alone need not be so between its neighbours: try each matrix's close runners-up inside the chain.
    auto chain_us = [&](const std::vector<Best>& set) {
      std::vector<Lab::Work> works;
      for (size_t i = 0; i < 4; ++i) works.push_back(layer.product(layer.matrices()[i], set[i].config, tokens, true));
      auto graph = lab.record(chain(std::move(works)), layers);
      return lab.burst_us(graph, 5, rest);
    };
    double fastest = chain_us(best);
    for (size_t i = 0; i < 4; ++i) {
      const std::vector<Best> alone = best;
      for (const Best& other : timed[i]) {
        if (other.config == alone[i].config || other.us > alone[i].us * 1.06) continue;
        std::vector<Best> set = best;
        set[i] = other;
        if (const double us = chain_us(set); us < fastest * 0.998) fastest = us, best[i] = other;
      }
    }
    std::vector<Lab::Work> ours, theirs, plain_launch, dense;
    for (size_t i = 0; i < 4; ++i) {
      Matrix& m = layer.matrices()[i];
      ours.push_back(layer.product(m, best[i].config, tokens, true));
      plain_launch.push_back(layer.product(m, best[i].config, tokens, false));
      if (o.dense) dense.push_back(layer.product(m, best[i].config, tokens, true, true));
      if (vendor_way[i] >= 0) theirs.push_back(layer.baseline(m, tokens, vendor_way[i]));
    }
    auto ours_graph = lab.record(chain(ours), layers);
    auto plain_graph = lab.record(chain(plain_launch), layers);
    double o_us[2] = {}, t_us[3] = {}, dense_us = 0, sustained_ours = 0, sustained_theirs = 0;
    Lab::Recorded theirs_graph;
    const bool vs = theirs.size() == 4;
    if (vs) theirs_graph = lab.record(chain(theirs), layers);
    for (int round = 0; round < 2; ++round) {
      if (vs) t_us[round] = lab.burst_us(theirs_graph, 7, rest);
      o_us[round] = lab.burst_us(ours_graph, 7, rest);
    }
    if (vs) t_us[2] = lab.burst_us(theirs_graph, 7, rest);
    const double plain_us = lab.burst_us(plain_graph, 7, rest);
    if (o.dense) {
      auto dense_graph = lab.record(chain(dense), layers);
      dense_us = lab.burst_us(dense_graph, 7, rest);
    }
    Lab::Sustained hot, hot_vendor;
    if (o.sustained_seconds > 0 && tokens >= 32 && vs) {
      // Once each to warm the card, then in the order A B B A A B: whoever comes second is hotter.
      auto run = [&](Lab::Recorded& graph, Lab::Sustained* to) {
        const Lab::Sustained one = lab.sustained(graph, o.sustained_seconds);
        if (to != nullptr)
          to->us += one.us / 3, to->gigahertz += one.gigahertz / 3, to->millijoules += one.millijoules / 3;
      };
      run(theirs_graph, nullptr), run(ours_graph, nullptr);
      run(theirs_graph, &hot_vendor), run(ours_graph, &hot), run(ours_graph, &hot);
      run(theirs_graph, &hot_vendor), run(theirs_graph, &hot_vendor), run(ours_graph, &hot);
      sustained_ours = hot.us, sustained_theirs = hot_vendor.us;
      std::printf(
          "CLOCK M=%-4d burst %.3f GHz, vendor %.3f | sustained %.3f, vendor %.3f | mJ a layer %.1f, vendor %.1f\n",
          tokens, lab.burst_gigahertz(ours_graph, 7, rest), lab.burst_gigahertz(theirs_graph, 7, rest), hot.gigahertz,
          hot_vendor.gigahertz, hot.millijoules, hot_vendor.millijoules);
    }
    const double mine = (o_us[0] + o_us[1]) / 2, yours = (t_us[0] + t_us[1] + t_us[2]) / 3;
    std::printf(
        "LAYER %-9s M=%-4d ours %.1f us (%.1f %.1f), vendor %.1f (%.1f %.1f %.1f), %.3fx | %4.1f %% of the limit | "
        "without dependent launch %.1f | dense variant %.1f | sustained %.1f / %.1f %.3fx | geomean of singles %.3fx\n",
        name(o.kind), tokens, mine, o_us[0], o_us[1], yours, t_us[0], t_us[1], t_us[2], yours / mine,
        limit_us / mine * 100, plain_us, dense_us, sustained_theirs, sustained_ours,
        sustained_ours > 0 ? sustained_theirs / sustained_ours : 0,
        std::pow(single_product, 1.0 / static_cast<double>(layer.matrices().size())));
    std::fflush(stdout);
    log.line(text(
        "{\"kind\":\"layer\",\"device\":\"", info.name, "\",\"weights\":\"", name(o.kind), "\",\"tokens\":", tokens,
        ",\"us\":", mine, ",\"vendor_us\":", yours, ",\"ratio\":", yours / mine, ",\"limit_share\":", limit_us / mine,
        ",\"without_dependent_us\":", plain_us, ",\"dense_us\":", dense_us, ",\"code\":\"", name(o.code),
        "\",\"resident_bytes\":", static_cast<int64_t>(layer_bits / 8), ",\"fixed_order_us\":", fixed_us,
        ",\"free_order_us\":", free_us, ",\"differing\":", wrong, ",\"sustained_us\":", sustained_ours,
        ",\"sustained_vendor_us\":", sustained_theirs, ",\"sustained_gigahertz\":", hot.gigahertz,
        ",\"sustained_vendor_gigahertz\":", hot_vendor.gigahertz, ",\"sustained_mj\":", hot.millijoules,
        ",\"sustained_vendor_mj\":", hot_vendor.millijoules, ",\"configs\":[\"", label(best[0].config), "\",\"",
        label(best[1].config), "\",\"", label(best[2].config), "\",\"", label(best[3].config), "\"],\"kernels\":[",
        kernel(best[0]), ",", kernel(best[1]), ",", kernel(best[2]), ",", kernel(best[3]), "]}"));
  }
  std::printf("EXACT %llu comparisons of whole outputs with the dense reference, %llu wrong\n",
              static_cast<unsigned long long>(compared), static_cast<unsigned long long>(wrong));
  log.line(text("{\"kind\":\"exactness\",\"comparisons\":", compared, ",\"wrong\":", wrong, "}"));
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tare::linear_cuda::bench

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    return tare::linear_cuda::bench::run(tare::linear_cuda::bench::parse(argc, argv));
  } catch (const tare::linear_cuda::bench::Lost& lost) {
    std::fprintf(stderr, "bench: %s\n", lost.status.message().c_str());
    return 1;
  }
}
