#include "core/app/linear_bench.hpp"

#include "autotune/measure/measure.hpp"
#include "autotune/run/bench.hpp"
#include "autotune/run/candidates.hpp"
#include "autotune/run/peak.hpp"
#include "autotune/run/wall_timer.hpp"
#include "autotune/store/entry.hpp"
#include "core/app/bandwidth.hpp"

namespace tare {
namespace {

constexpr int64_t kColdBytes = int64_t{64} << 20;  // of a product; the layer as a whole is many times that
constexpr StoppingRule kRule{.least = 5, .most = 15, .spread = 0.01, .seconds = 1.5, .hopeless = 1e9};

// A product in one layout.
struct Laid {
  std::string layout;
  BenchMemory memory;
  std::unique_ptr<ProblemBench> bench;
  std::optional<ProblemBench::Prepared> prepared;  // for the rows that are measured now
  std::string name;                                // of the kernel and config
};
struct BenchProduct {
  LayerProduct what;
  Problem problem;
  std::string numerics;
  Laid coded, dense;
};

Status lay(Laid& out, Device& device, const Registry& registry, const Problem& problem, const std::string& code,
           int64_t most_rows) {
  const auto layouts = layouts_of(registry, problem, std::vector<std::string>{code});
  if (layouts.empty()) return failure(Code::unsupported, "no kernel of this device reads it in ", code);
  out.layout = layouts.front();
  TARE_ASSIGN_OR_RETURN(out.bench,
                        ProblemBench::create(device, registry, problem, out.layout, most_rows, kColdBytes, out.memory));
  return {};
}
Status prepare(Laid& laid, const Registry& registry, const BenchProduct& p, int64_t rows) {
  laid.prepared.reset();
  const auto chosen = default_for(registry, at_rows(p.problem, rows_point(rows)), laid.layout, p.numerics);
  if (!chosen) return failure(Code::unsupported, "no kernel reads ", laid.layout, " in the order ", p.numerics);
  TARE_ASSIGN_OR_RETURN(laid.prepared, laid.bench->prepare(*chosen->kernel, chosen->config, rows_point(rows)));
  laid.name = chosen->name();
  return {};
}
Status launch(Laid& laid, int64_t rows) {
  TARE_RETURN_IF_ERROR(laid.bench->launch(*laid.prepared, rows));
  return laid.bench->stream().synchronize();
}
std::string quoted(std::string_view words) {
  std::string out = "\"";
  for (const char c : words) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

Status bench_linear_layer(const Host& host, Device& device, const DeviceInfo& info, const LinearBenchRequest& request) {
  const Registry& registry = host.registry();
  if (!request.launches.empty()) return failure(Code::unsupported, "single launches are for a GPU's profiler");
  if (request.rows.empty()) return invalid("no number of rows to measure");
  for (const auto& list : {request.rows, request.odd_rows})
    for (const int64_t rows : list)
      if (rows < 1 || rows > 8192) return invalid(rows, " rows, expected 1 to 8192");
  if (request.weights != "trained")
    return failure(Code::unsupported, "weights '", request.weights,
                   "' are made on CUDA alone, here they are 'trained'");
  int64_t most_rows = 1;
  for (const auto& list : {request.rows, request.odd_rows})
    for (const int64_t rows : list) most_rows = std::max(most_rows, rows);
  std::vector<std::unique_ptr<BenchProduct>> products;
  std::vector<int64_t> points;
  for (const int64_t rows : request.rows) points.push_back(rows_point(rows));
  int64_t bytes = 0;
  double flops = 0;
  for (const LayerProduct& what : request.products) {
    auto p = std::make_unique<BenchProduct>();
    p->what = what, p->problem = plain_product(info, what.outputs, what.inputs, most_rows);
    const auto orders = numerics_of(registry, p->problem, points);
    if (orders.empty()) return failure(Code::unsupported, what.name, ": no kernel runs it on ", info.id);
    p->numerics = orders.front();
    TARE_RETURN_IF_ERROR(lay(p->coded, device, registry, p->problem, request.code, most_rows).in(what.name));
    TARE_RETURN_IF_ERROR(lay(p->dense, device, registry, p->problem, "dense", most_rows).in(what.name));
    if (what.chained) bytes += p->coded.bench->weight_bytes(), flops += p->coded.bench->flops(1);
    products.push_back(std::move(p));
  }
  const double bandwidth = read_bandwidth(device);
  WallTimer timer;
  int64_t comparisons = 0, wrong = 0;
  const auto check = [&](BenchProduct& p, int64_t rows) -> Status {
    if (!request.check) return {};
    TARE_ASSIGN_OR_RETURN(const BenchResults expected, p.dense.bench->results(*p.dense.prepared, rows));
    TARE_ASSIGN_OR_RETURN(const std::string other, p.coded.bench->difference(*p.coded.prepared, rows, 0, expected, 0));
    ++comparisons;
    if (other.empty()) return {};
    ++wrong;
    if (request.say)
      request.say(text("WRONG ", p.what.name, ", ", rows, " rows: ", p.coded.name, " gives other bits than ",
                       p.dense.name, " (", other, ")"));
    return {};
  };
  const auto ready = [&](int64_t rows) -> Status {
    for (const auto& p : products) {
      if (request.stopped && request.stopped()) return failure(Code::cancelled, "stopped");
      TARE_RETURN_IF_ERROR(prepare(p->coded, registry, *p, rows).in(p->what.name));
      TARE_RETURN_IF_ERROR(prepare(p->dense, registry, *p, rows).in(p->what.name));
      TARE_RETURN_IF_ERROR(check(*p, rows));
    }
    return {};
  };
  if (request.check)
    for (const int64_t rows : request.odd_rows) TARE_RETURN_IF_ERROR(ready(rows));
  for (const int64_t rows : request.rows) {
    TARE_RETURN_IF_ERROR(ready(rows));
    const auto chain = [&](Laid BenchProduct::*side, bool chained) -> Launcher {
      return [&, side, chained] {
        return timer.run(products.front()->dense.bench->stream(), [&] {
          for (const auto& p : products)
            if (p->what.chained == chained) TARE_RETURN_IF_ERROR(launch((*p).*side, rows));
          return Status();
        });
      };
    };
    const Launcher both[] = {chain(&BenchProduct::coded, true), chain(&BenchProduct::dense, true)};
    const Clock clock = [&] { return timer.now(); };
    TARE_ASSIGN_OR_RETURN(const auto timings, measure(both, clock, kRule));
    std::string configs;
    for (const auto& p : products)
      if (p->what.chained) configs += (configs.empty() ? "" : ",") + quoted(p->coded.name);
    const double us = timings[0].median * 1e6, tflops = flops * static_cast<double>(rows) / us * 1e-6;
    const double share = bandwidth > 0 ? static_cast<double>(bytes) / bandwidth * 1e6 / us : 0;
    if (request.say)
      request.say(text("LAYER M=", rows, " ", us, " us, plain weights ", timings[1].median * 1e6, " us"));
    if (request.record)
      request.record(text("{\"kind\":\"layer\",\"device\":", quoted(info.name), ",\"shape\":", quoted(request.shape),
                          ",\"weights\":", quoted(request.weights), ",\"code\":", quoted(request.code),
                          ",\"tokens\":", rows, ",\"us\":", us, ",\"spread_us\":", timings[0].spread * 1e6,
                          ",\"dense_us\":", timings[1].median * 1e6, ",\"resident_bytes\":", bytes,
                          ",\"limit_share\":", share, ",\"tflops\":", tflops, ",\"flop_share\":",
                          request.peak_tflops > 0 ? tflops / request.peak_tflops : 0, ",\"configs\":[", configs, "]}"));
  }
  if (request.record)
    request.record(text("{\"kind\":\"exactness\",\"comparisons\":", comparisons, ",\"wrong\":", wrong, "}"));
  return {};
}

}  // namespace tare
