// tare pack DIR|GGUF|BUNDLE -o FILE: a model as one .tare bundle, without losing a bit: small for distribution, or laid
// out as a device has it in memory.
#include <boost/json.hpp>
#include <iomanip>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/interrupt.hpp"
#include "core/app/pack_serving.hpp"
#include "core/base/progress.hpp"
#include "core/bundle/tare_pack.hpp"

namespace tare {
namespace {

struct Options {
  std::string source, out;
  std::vector<std::string> exclude;
  std::string device, layout, objective, memory, weights;  // of serving bundles
  int32_t threads = 0;
  bool as_json = false;
  bool is_for_serving() const {
    return !(device.empty() && layout.empty() && objective.empty() && memory.empty() && weights.empty());
  }
};

Result<PackReport> pack_for_serving(const Host& host, const Options& o, const PackOptions& common) {
  ServingPackOptions options;
  static_cast<PackOptions&>(options) = common;
  if (!o.device.empty()) options.device = o.device;
  TARE_ASSIGN_OR_RETURN(const DeviceInfo device, device_to_pack_for(host, options.device));
  TARE_ASSIGN_OR_RETURN(LayoutAim aim, parse_aim(o.objective.empty() ? "latency" : o.objective));
  options.load.layout = o.layout == "auto" ? "" : o.layout;
  options.load.objective = aim.objective, options.load.mix = std::move(aim.mix);
  TARE_ASSIGN_OR_RETURN(options.load.memory_bytes, parse_memory(o.memory, device.memory_bytes));
  if (!o.weights.empty()) {
    TARE_ASSIGN_OR_RETURN(const ModelDescription description,
                          describe_model(host, o.source, {.weights = false, .dtype = {}}));
    TARE_ASSIGN_OR_RETURN(options.load.weight_bytes, parse_weight_cap(o.weights, *description.program));
  }
  return pack_serving(host, o.source, o.out, options);
}

void print(const Options& o, const PackReport& r) {
  const auto share = [](int64_t part, int64_t whole) {
    return whole == 0 ? 100.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  std::cout << std::fixed << std::setprecision(1) << o.out << ": " << human_bytes(r.bundle_bytes) << ", "
            << share(r.bundle_bytes, r.plain_bytes) << " % of " << human_bytes(r.plain_bytes) << '\n'
            << "  weights: " << human_bytes(r.weight_bytes) << " -> " << human_bytes(r.stored_weight_bytes) << " ("
            << share(r.stored_weight_bytes, r.weight_bytes) << " %), in " << human_duration(r.seconds) << ", "
            << human_bytes(static_cast<int64_t>(static_cast<double>(r.plain_bytes) / std::max(r.seconds, 1e-3)))
            << "/s\n";
  for (const auto& [key, value] : r.info) std::cout << "  " << key << ": " << value << '\n';
  for (const std::string& name : r.left_out) std::cout << "  left out: " << name << '\n';
}
void print_json(const Options& o, const PackReport& r) {
  boost::json::object info;
  for (const auto& [key, value] : r.info) info[key] = value;
  std::cout << boost::json::object{{"bundle", o.out},
                                   {"bundle_bytes", r.bundle_bytes},
                                   {"plain_bytes", r.plain_bytes},
                                   {"weight_bytes", r.weight_bytes},
                                   {"stored_weight_bytes", r.stored_weight_bytes},
                                   {"seconds", r.seconds},
                                   {"info", info},
                                   {"left_out", boost::json::array(r.left_out.begin(), r.left_out.end())}}
            << '\n';
}

int run(const CommandLine& line, const Options& o) {
  const auto host = line.host();
  if (!host.ok()) return fail(host.status());
  const Interrupt interrupt;
  PackOptions options;
  options.threads = o.threads, options.show_progress = true, options.exclude = o.exclude;
  options.stop = [&] { return interrupt.asked(); };
  const auto report = o.is_for_serving() ? pack_for_serving(**host, o, options)
                                         : pack_tare(o.source, o.out, (*host)->families(), options);
  if (!report.ok()) return fail(report.status());
  if (o.as_json)
    print_json(o, *report);
  else
    print(o, *report);
  return 0;
}

}  // namespace

void add_pack(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("pack", "Pack a model into one .tare bundle, without losing a bit");
  auto o = std::make_shared<Options>();
  command
      ->add_option("MODEL", o->source,
                   "Hugging Face folder, or .gguf file (its BF16 expansion); a .tare bundle for a serving bundle")
      ->required();
  command->add_option("-o,--output", o->out, "The bundle to write")->required();
  command->add_option("--exclude", o->exclude, "Leave out files that match this pattern, such as '*.bin' (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--threads,-t", o->threads, "CPU threads; 0: all cores")->check(CLI::NonNegativeNumber);
  const std::string serving = "Serving bundle";
  command
      ->add_option("--layout", o->layout,
                   "Write a serving bundle, weights as a device has them in memory: dense, w12, w11, a layout's id, "
                   "or auto, as serving would choose")
      ->group(serving);
  command->add_option("--device", o->device, "For this device: cpu, cuda:0, cuda, or a described one (nvidia-h100-sxm)")
      ->group(serving);
  command
      ->add_option("--objective", o->objective,
                   "As serving has it: latency, throughput, balanced, memory, mix:1=0.7,16=0.3")
      ->group(serving);
  command->add_option("--memory", o->memory, "Budget of the device: 60GiB, 512MiB, 90%")->group(serving);
  command->add_option("--weights", o->weights, "The most that weights may take: 2GiB, or 78% of their plain size")
      ->group(serving);
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
