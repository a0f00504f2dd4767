// tare autotune [MODEL]: measures which kernel and config is fastest for every product of a model, or, with no model,
// qualifies a device.
#include <cstdio>
#include <iostream>

#include "autotune/run/compile_ahead.hpp"
#include "autotune/store/database.hpp"
#include "autotune/store/tuning_folder.hpp"
#include "core/app/autotune_report.hpp"
#include "core/app/bandwidth.hpp"
#include "core/app/cli.hpp"
#include "core/app/device_data.hpp"
#include "core/app/device_use.hpp"
#include "core/app/interrupt.hpp"
#include "core/app/list_option.hpp"
#include "core/app/recheck_report.hpp"
#include "core/app/tuning_problems.hpp"
#include "core/app/version.hpp"
#include "core/base/progress.hpp"
#include "core/config/values.hpp"

namespace tare {
namespace {

struct Options {
  std::string model, device = "cpu", budget, database, report, output = "tuning-db", shapes, layouts;
  std::vector<std::string> vendor;
  double sustained = 0.5;
  int32_t threads = 0, chunk = 0, sequences = 64;
  bool as_json = false, renumber = false, every_order = false, shared = false, check = false;
};

std::vector<std::string> split(const std::string& in) {
  auto out = split_list(in);
  std::erase(out, "");
  return out;
}

// One line on a terminal: how far, how long still, what.
class Line {
 public:
  Line(double budget, bool shown) : budget_(budget), shown_(shown) {}
  ~Line() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }
  void draw(const TunerProgress& p) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    if (!shown_ || (drawn_ && seconds - last_ < 0.1)) return;
    last_ = seconds, drawn_ = true;
    std::string left;
    if (p.done > 0) {
      double rest = seconds / static_cast<double>(p.done) * static_cast<double>(p.total - p.done);
      if (budget_ > 0) rest = std::min(rest, std::max(0.0, budget_ - seconds));
      left = ", " + human_duration(rest) + " left";
    }
    const std::string line = text("\rtuning ", p.done, " of ", p.total, left, ": ", p.doing).substr(0, 110) + "\033[K";
    std::fputs(line.c_str(), stderr);
    std::fflush(stderr);
  }

 private:
  const double budget_;
  const bool shown_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double last_ = 0;
  bool drawn_ = false;
};

Status check_layouts(const Host& host, const DeviceInfo& device, std::span<const std::string> layouts) {
  for (const std::string& wanted : layouts) {
    bool found = false;
    std::string known;
    for (const Layout* layout : host.registry().layouts()) {
      if (!layout->device_kind().empty() && layout->device_kind() != device.kind) continue;
      const std::string id(layout->id());
      found = found || id == wanted || id.substr(0, id.find('/')) == wanted;
      known += text(known.empty() ? "" : ", ", id);
    }
    if (!found) return invalid("layout '", wanted, "' is none of those that plugins bring: ", known);
  }
  return {};
}

Result<TuningInput> input_of(const Host& host, const Options& o, const DeviceInfo& device) {
  TuningInput out;
  const ExecutorOptions limits{
      .context = 0, .max_step_tokens = o.chunk, .max_sequences = std::min(o.sequences, o.chunk)};
  if (o.model.empty()) {
    for (const std::string& shape : split(o.shapes)) TARE_RETURN_IF_ERROR(add_shape(host, shape, device, limits, out));
  } else {
    TARE_ASSIGN_OR_RETURN(ModelDescription described, describe_model(host, o.model, {}));
    TARE_RETURN_IF_ERROR(add_problems(host, std::move(described.program), device, limits, out));
  }
  if (out.problems.empty()) return invalid(o.model.empty() ? o.shapes : o.model, ": has no product to tune");
  return out;
}

// Is there anything to measure? A full database is answered without touching the device's memory.
bool all_known(const TuningInput& input, const Host& host, const DeviceInfo& device, TuningDatabase& database,
               const Options& o) {
  const auto entries = database.entries(device.sku);
  if (!entries.ok() || o.every_order) return false;
  for (const TuningProblem& p : input.problems)
    for (const std::string& layout : layouts_of(host.registry(), p.problem, split(o.layouts)))
      for (const int64_t rows : p.points)
        if (std::ranges::none_of(*entries, [&](const TuningEntry& e) {
              const KernelCandidate* kernel = host.registry().kernel(e.value.kernel);
              return e.key.rows == rows && e.key.layout == layout && e.key.problem == p.printed && kernel != nullptr &&
                     kernel->hash() == e.value.hash;
            }))
          return false;
  return true;
}

int exit_code(const TunerOutcome& outcome, const Qualification* q) {
  if (q != nullptr)
    return q->verdict == QualifyVerdict::qualified ? 0
           : q->verdict == QualifyVerdict::slower  ? 3
           : q->verdict == QualifyVerdict::failed  ? 4
                                                   : 5;
  return outcome.count(KeyOutcome::State::failed) > 0 ? 4 : 0;
}

constexpr int64_t kColdGpuBytes = int64_t{192} << 20;  // several times the last cache of GPUs

// Rows from which the power cap sets the clock (docs/benchmarks/linear-cuda.md): few where memory is fast.
int64_t sustained_from(const DeviceInfo& device, std::span<const SkuDescription> table) {
  for (const SkuDescription& s : table)
    if (s.sku == device.sku && s.gb_s >= 4000) return 32;
  return 128;
}

// What is not given depends on the device: prompts come in larger chunks on a GPU.
Options completed(Options o, const DeviceInfo& device) {
  const bool cpu = device.kind == "cpu";
  if (o.shapes.empty()) o.shapes = cpu ? kStandardShapes : kStandardGpuShapes;
  if (o.chunk == 0) o.chunk = cpu || !o.model.empty() ? 512 : 4096;
  return o;
}

int run(const CommandLine& line, const Options& given) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host& host = **opened_host;
  Options o = given;
  if (o.check && (o.model.empty() || o.renumber || o.every_order))
    return fail("--check measures what was chosen for a model: give MODEL, and neither --renumber nor --every-order");
  double budget = 0;
  if (!o.budget.empty()) {
    const auto ms = parse_duration_ms(o.budget);
    if (!ms || *ms <= 0) return fail(text("--budget is '", o.budget, "', expected a duration such as 60s or 5m"));
    budget = static_cast<double>(*ms) / 1000;
  }
  auto device = host.open_device(o.device, {.threads = o.threads, .memory_bytes = 0});
  if (!device.ok()) return fail(device.status());
  const TuningPlaces& places = host.tuning_places();
  const std::vector<SkuDescription> table = sku_table(places, host.log());
  const DeviceInfo info = with_sku((*device)->info(), table);
  o = completed(std::move(o), info);
  if (Status s = check_layouts(host, info, split(o.layouts)); !s.ok()) return fail(s);
  auto input = input_of(host, o, info);
  if (!input.ok()) return fail(input.status());
  const std::string path = o.database.empty() ? places.database : o.database;
  if (path.empty()) return fail("there is no tuning database: name one with --database");
  auto opened = TuningDatabase::open(path);
  if (!opened.ok()) return fail(opened.status());
  if (!opened->note.empty()) std::cerr << "tare: " << opened->note << '\n';
  TuningDatabase& database = *opened->database;
  if (!database.writable())
    return fail(text("the tuning database ", path,
                     " is read-only: nothing that is measured could be kept; name another with --database"));
  const auto lock = TuningLock::take(path, info.sku);
  if (!lock.ok()) return fail(lock.status());
  const bool works = o.renumber || o.check || !all_known(*input, host, info, database, o);
  const std::string others = works || o.model.empty() ? others_on(info, places.database) : "";
  if (!others.empty()) {
    if (o.model.empty() && !o.shared)
      return fail(text(info.id, " is used by others (", others, "): a qualification beside them would be wrong; stop ",
                       "them, or give --shared"));
    std::cerr << "tare: " << info.id << " is used by others (" << others
              << "): figures may be wrong, and are marked as shared\n";
  }
  if (o.renumber) {
    if (Status s = database.renumber(info.sku); !s.ok()) return fail(s);
    std::cerr << "tare: orders of sums on " << info.sku << " are chosen anew: outputs may change\n";
  }

  std::vector<TuningEntry> shipped;
  if (!places.folder.empty())
    for (const TuningFile& file : read_tuning_folder(places.folder, info.architecture).files)
      if (file.sku == info.sku) shipped.insert(shipped.end(), file.entries.begin(), file.entries.end());
  if (o.model.empty() && shipped.empty())
    std::cerr << "tare: nobody has measured " << info.sku << " (" << info.name << ", " << info.units
              << " units) yet: there is no shipped record to compare with\n";

  const Interrupt interrupt;
  Line progress(budget, Progress::stderr_is_terminal() && !o.as_json);
  TunerOptions options;
  std::unique_ptr<DeviceData> data;
  options.layouts = split(o.layouts), options.budget = budget, options.every_numerics = o.every_order;
  options.choose_numerics = o.renumber, options.versions = provenance(!others.empty());
  options.stopped = [&] { return interrupt.asked(); };
  options.progress = [&](const TunerProgress& p) { progress.draw(p); };
  if (info.kind == "cpu") options.cold_bytes = cold_cpu_bytes();
  if (works) {
    data = device_data(host, **device);
    options.data = data.get();
    options.bytes_per_second = read_bandwidth(**device);
    options.sensors = static_cast<DeviceSensors*>((*device)->query(DeviceSensors::kInterface));
    options.vendor = static_cast<VendorProducts*>((*device)->query(VendorProducts::kInterface));
    if (options.vendor != nullptr)
      if (const Status found = options.vendor->open(o.vendor); !found.ok()) {
        std::cerr << "tare: no vendor's library is measured beside ours: " << found.message() << '\n';
        options.vendor = nullptr;
      }
    if (data != nullptr) {
      options.sustained_from = o.sustained > 0 ? sustained_from(info, table) : 0;
      options.sustained_slice = o.sustained, options.cold_bytes = kColdGpuBytes;
      const auto rate = data->read_bandwidth();
      if (!rate.ok()) return fail(rate.status());
      options.bytes_per_second = *rate;
    }
    for (const SkuDescription& s : table)
      if (options.bytes_per_second <= 0 && s.sku == info.sku) options.bytes_per_second = s.gb_s * 1e9;
  }

  if (o.check) {
    const auto found = check_choices(**device, info, host.registry(), input->problems, database, options);
    if (!found.ok()) return fail(found.status());
    if (o.as_json)
      std::cout << to_json(*found) << '\n';
    else
      print(*found, std::cout);
    return found->slower() > 0 ? 3 : 0;
  }
  // Kernels are compiled on the other cores while those before are measured.
  std::unique_ptr<CompileAhead> ahead;
  if (data != nullptr)
    ahead = CompileAhead::start(info, host.registry(), input->problems, options.layouts, usual_head(host, info.kind));
  Qualification qualification;
  const bool qualifies = o.model.empty();
  if (qualifies) {
    auto done = qualify(**device, info, host.registry(), input->problems, database,
                        {.tuner = options, .shipped = shipped, .output = o.output});
    if (!done.ok()) return fail(done.status());
    qualification = std::move(*done);
  } else {
    auto done = tune(**device, info, host.registry(), input->problems, database, options);
    if (!done.ok()) return fail(done.status());
    qualification.tuning = std::move(*done);
  }
  const TunerOutcome& outcome = qualification.tuning;
  const AutotuneFacts facts{.what = qualifies ? "the shapes " + o.shapes : o.model,
                            .device = &info,
                            .database = path,
                            .version = text("tare ", kVersion, " (", kCommit, ")"),
                            .date = today(),
                            .budget = budget,
                            .cold_bytes = options.cold_bytes,
                            .others = others};
  const Qualification* const verdict = qualifies ? &qualification : nullptr;
  if (!o.report.empty())
    if (Status s = report::write_html(to_report(outcome, facts, verdict), o.report); !s.ok()) return fail(s);
  if (o.as_json) {
    std::cout << to_json(outcome, facts, verdict) << '\n';
  } else {
    print(outcome, facts, std::cout);
    if (qualifies) {
      int64_t checks = 0;
      for (const GateOutcome& g : qualification.gates) checks += g.checked;
      std::cout << checks << " exactness gates of " << qualification.gates.size() << " kernels and layouts\n";
      for (const std::string& file : qualification.files) std::cout << "written: " << file << '\n';
      std::cout << "verdict: " << qualification.sentence << '\n';
    }
  }
  // A budget in which nothing was done is a mistake to mend, not a result.
  if (outcome.out_of_time && outcome.count(KeyOutcome::State::tuned) + outcome.count(KeyOutcome::State::known) == 0)
    return fail(text("a budget of ", o.budget, " is too small: it ended before the first of ", outcome.keys.size(),
                     " choices was done; what was tried is kept, give it more"));
  return exit_code(outcome, verdict);
}

}  // namespace

void add_autotune(CLI::App& app, CommandLine& line) {
  auto* command =
      app.add_subcommand("autotune", "Measure the fastest kernels for a model, or qualify a device (no model)");
  auto o = std::make_shared<Options>();
  command->add_option("MODEL,--model,-m", o->model,
                      "Hugging Face folder, GGUF file or bundle; none: the device itself");
  command->add_option("--device", o->device, "cpu, cuda:0, ...");
  command->add_option("--budget", o->budget, "Stop after so long (60s, 5m); the next run goes on");
  command->add_option("--database", o->database, "SQLite file to keep choices in; else [tuning] database");
  command->add_option("--layouts", o->layouts, "Codes or layouts to tune, with commas between; all when not given");
  command->add_option("--report", o->report, "HTML file: what was tried, what won, by how much, with plots");
  command->add_option("--shapes", o->shapes,
                      text("With no model: shapes to tune, with commas between; on a CPU ", kStandardShapes,
                           ", on a GPU ", kStandardGpuShapes));
  command->add_option("--output", o->output, "With no model: folder for the SKU's tuning files")->capture_default_str();
  command->add_option("--threads,-t", o->threads, "CPU threads; 0: all cores")->check(CLI::NonNegativeNumber);
  command->add_option("--chunk", o->chunk, "Most tokens of a step; 512, to qualify a GPU 4096")
      ->check(CLI::Range(1, 4096));
  command->add_option("--sequences", o->sequences, "Most sequences of a step")->check(CLI::Range(1, 4096));
  command->add_option("--vendor", o->vendor, "Folders to look for the GPU vendor's library in first");
  command
      ->add_option("--sustained", o->sustained,
                   "GPUs: seconds of a slice in which close finalists of many rows alternate; 0: bursts alone")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  command->add_flag("--renumber", o->renumber, "Forget the orders of sums and choose the fastest: outputs may change");
  command->add_flag("--every-order", o->every_order, "Tune every order of sums, not only the one that is kept");
  command->add_flag("--shared", o->shared, "Qualify a device that others are using; what is measured is marked");
  command->add_flag("--check", o->check,
                    "Measure again what was chosen instead of the default, beside it; nothing is changed");
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
