#include "core/app/cache_fill.hpp"

#include <atomic>
#include <boost/json.hpp>
#include <cstdio>
#include <iostream>

#include "autotune/run/compile_ahead.hpp"
#include "autotune/run/peak.hpp"
#include "autotune/run/qualify.hpp"
#include "autotune/store/problem_text.hpp"
#include "core/app/device_data.hpp"
#include "core/app/interrupt.hpp"
#include "core/app/list_option.hpp"
#include "core/app/tuning_problems.hpp"
#include "core/base/progress.hpp"
#include "jit/cuda_kernel.hpp"

namespace tare {
namespace {

struct Options {
  std::string shapes = std::string(kStandardGpuShapes), sku, architecture = "sm_90a", layouts;
  int32_t units = 132, threads = 0, chunk = 4096, sequences = 64;
  bool as_json = false, count = false;
};

// What is tuned together: a shape, or the small problems of the exactness gates with those of the rate of arithmetic.
struct Part {
  std::string name;
  TuningInput input;
  std::vector<TuningProblem> rates = {};
  int64_t shared = 0;  // problems that a part before it has too
  AheadList list;
  AheadOutcome outcome;
  jit::CompiledCount kernels;  // that no part before it has
};

Result<DeviceInfo> described(const Host& host, const Options& o) {
  DeviceInfo info;
  info.id = "cuda:0", info.kind = "cuda", info.name = o.architecture, info.units = o.units;
  info.features = {o.architecture};
  if (o.sku.empty() && jit::compute_capability(info.features) == 0)
    return invalid("--architecture is '", o.architecture, "', expected one such as sm_90a");
  if (o.sku.empty()) return info;
  std::string known;
  for (const SkuDescription& s : sku_table(host.tuning_places(), host.log())) {
    if (s.kind != "cuda") continue;
    known += (known.empty() ? "" : ", ") + s.sku;
    if (s.sku != o.sku) continue;
    info = to_device_info(s);
    info.features = {jit::compiled_for(s.architecture)};
    return info;
  }
  return failure(Code::not_found, "no GPU is described as '", o.sku, "', expected one of ", known);
}

void forget_known(std::vector<TuningProblem>& problems, std::span<const Part> before, int64_t& shared) {
  shared = static_cast<int64_t>(std::erase_if(problems, [&](const TuningProblem& p) {
    for (const Part& part : before)
      for (const TuningProblem& known : part.input.problems)
        if (known.printed == p.printed && known.points == p.points) return true;
    return false;
  }));
}

Result<std::vector<Part>> parts_of(const Host& host, const DeviceInfo& info, const Options& o) {
  const ExecutorOptions limits{
      .context = 0, .max_step_tokens = o.chunk, .max_sequences = std::min(o.sequences, o.chunk)};
  std::vector<Part> out;
  for (const std::string& shape : split_list(o.shapes)) {
    Part part{.name = shape, .input = {}, .rates = {}, .shared = 0, .list = {}, .outcome = {}, .kernels = {}};
    TARE_RETURN_IF_ERROR(add_shape(host, shape, info, limits, part.input));
    forget_known(part.input.problems, out, part.shared);
    out.push_back(std::move(part));
  }
  if (out.empty()) return invalid("--shapes names no shape");
  Part gates{
      .name = "exactness gates", .input = {}, .rates = {}, .shared = 0, .list = {}, .outcome = {}, .kernels = {}};
  gates.input.problems = gate_problems(info);
  out.push_back(std::move(gates));
  for (Part& part : out)
    part.list = ahead_list(host.registry(), part.input.problems,
                           &part == &out.back() ? std::vector<std::string>() : split_list(o.layouts));
  Part& last = out.back();
  last.rates = peak_problems(info);
  for (AheadCandidate& c : plain_defaults(host.registry(), last.rates)) last.list.candidates.push_back(std::move(c));
  return out;
}

// What makes, packs and compares the numbers that are measured. None of it matters: a search compiles what it lacks.
void compile_helpers(const Host& host, Device& device) {
  const auto data = device_data(host, device);
  const auto stream = device.create_stream();
  if (data == nullptr || !stream.ok()) return;
  const auto room = device.allocate(1 << 20, Purpose::staging, "helpers");
  if (!room.ok()) return;
  void* const at = (*room)->data();
  static_cast<void>(data->fill_weights(**stream, 256, 256, 1, false, at));
  static_cast<void>(data->fill_activations(**stream, 256, 1, at));
  static_cast<void>(data->differing(**stream, at, at, 256));
  static_cast<void>(data->read_bandwidth());
  const WeightInfo matrix{"w", DType::bf16, {256, 256}, 1};
  for (const Layout* layout : host.registry().layouts()) {
    if (layout->device_kind() != device.info().kind) continue;
    auto encoder = layout->device_encoder(device);
    if (encoder.ok() && *encoder != nullptr) static_cast<void>((*encoder)->encode(**stream, matrix, at, "helpers"));
  }
}

void print(const std::vector<Part>& parts, const jit::CompiledCount& all, const std::string& folder, bool count) {
  std::printf("%-16s %9s %7s %8s %11s %8s %9s\n", "shape", "problems", "shared", "choices", "candidates", "kernels",
              "compiled");
  const auto row = [&](const char* name, size_t problems, int64_t shared, int64_t choices, int64_t measured,
                       const jit::CompiledCount& k) {
    std::printf("%-16s %9zu %7lld %8lld %11lld", name, problems, static_cast<long long>(shared),
                static_cast<long long>(choices), static_cast<long long>(measured));
    if (!count) std::printf(" %8lld %9lld", static_cast<long long>(k.kernels), static_cast<long long>(k.fresh));
    std::printf("\n");
  };
  size_t problems = 0;
  int64_t shared = 0, choices = 0, measured = 0;
  for (const Part& p : parts) {
    row(p.name.c_str(), p.input.problems.size(), p.shared, p.list.choices, p.list.measured, p.kernels);
    problems += p.input.problems.size(), shared += p.shared;
    choices += p.list.choices, measured += p.list.measured;
  }
  row("all", problems, shared, choices, measured, all);
  if (!count) std::cout << folder << ": " << all.cubin_bytes << " bytes of these kernels\n" << std::flush;
}

std::string to_json(const std::vector<Part>& parts, const jit::CompiledCount& all, const std::string& folder) {
  boost::json::array rows;
  for (const Part& p : parts)
    rows.push_back(boost::json::object{{"name", p.name},
                                       {"problems", p.input.problems.size()},
                                       {"shared", p.shared},
                                       {"choices", p.list.choices},
                                       {"candidates", p.list.measured},
                                       {"kernels", p.kernels.kernels},
                                       {"compiled", p.kernels.fresh},
                                       {"refused", p.outcome.refused}});
  return boost::json::serialize(boost::json::object{{"folder", folder},
                                                    {"parts", std::move(rows)},
                                                    {"kernels", all.kernels},
                                                    {"compiled", all.fresh},
                                                    {"bytes", all.cubin_bytes}});
}

int run(const CommandLine& line, const Options& o) {
  const auto settings = line.settings();
  if (!settings.ok()) return fail(settings.status());
  const std::string folder = host_options(*settings, process_environment()).jit.cache_folder;
  if (folder.empty() && !o.count) return fail("compiled kernels are not kept on disk: there is no folder to fill");
  const auto opened = line.host();
  if (!opened.ok()) return fail(opened.status());
  const Host& host = **opened;
  const auto info = described(host, o);
  if (!info.ok()) return fail(info.status());
  auto parts = parts_of(host, *info, o);
  if (!parts.ok()) return fail(parts.status());
  int64_t candidates = 0;
  for (const Part& p : *parts) candidates += std::ssize(p.list.candidates);
  if (candidates == 0) return fail("no kernel of this build runs products on " + info->features.front());
  jit::CompiledCount all;
  if (!o.count) {
    if (const Status ready = host.jit().ready(); !ready.ok()) return fail(ready);
    const auto device = jit::make_compile_only_device(*info);
    if (!device.ok()) return fail(device.status());
    const Interrupt interrupt;
    Progress bar("compiling", candidates, Progress::stderr_is_terminal() && !o.as_json);
    std::atomic<int64_t> shown = 0;
    for (Part& part : *parts) {
      const int64_t before = shown;
      part.outcome = compile_ahead(
          **device, host.registry(), part.list.candidates,
          {.threads = o.threads,
           .head = usual_head(host, info->kind),
           .stopped = [&] { return interrupt.asked(); },
           .progress = [&](int64_t done) { bar.advance(before + done - shown.exchange(before + done)); }});
      if (interrupt.asked()) return fail("stopped; what was compiled is kept");
      const jit::CompiledCount now = (*device)->compiled();
      part.kernels = {now.kernels - all.kernels, now.fresh - all.fresh, now.cubin_bytes - all.cubin_bytes};
      all = now;
    }
    compile_helpers(host, **device);
    all = (*device)->compiled();
  }
  if (o.as_json)
    std::cout << to_json(*parts, all, folder) << '\n';
  else
    print(*parts, all, folder, o.count);
  int64_t refused = 0;
  for (const Part& p : *parts) {
    refused += p.outcome.refused;
    if (!p.outcome.first_refusal.empty()) std::cerr << "tare: " << p.outcome.first_refusal << '\n';
  }
  return refused > 0 ? fail(text(refused, " candidates could not be compiled")) : 0;
}

}  // namespace

void add_cache_fill(CLI::App& cache, CommandLine& line) {
  auto* command = cache.add_subcommand(
      "fill", "Compile what tuning a GPU will want; needs no GPU, for images and for the time of a GPU");
  auto o = std::make_shared<Options>();
  command->add_option("--shapes", o->shapes, "Shapes, with commas between, as `tare autotune` takes them")
      ->capture_default_str();
  auto* sku = command->add_option("--sku", o->sku, "The GPU: nvidia-h100-sxm, nvidia-h200, ...");
  command->add_option("--architecture", o->architecture, "Instead of a SKU: what kernels are compiled for")
      ->capture_default_str()
      ->excludes(sku);
  command->add_option("--units", o->units, "And its multiprocessors")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->excludes(sku);
  command->add_option("--layouts", o->layouts, "Codes or layouts, with commas between; all when not given");
  command->add_option("--chunk", o->chunk, "Most tokens of a step")->check(CLI::Range(1, 4096))->capture_default_str();
  command->add_option("--sequences", o->sequences, "Most sequences of a step")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--threads,-j,-t", o->threads, "Kernels at a time; 0: one a core")->check(CLI::NonNegativeNumber);
  command->add_flag("--count", o->count, "Only say how much there is to tune; nothing is compiled");
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
