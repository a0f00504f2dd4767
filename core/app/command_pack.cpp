// tare pack DIR|GGUF -o FILE: a model as one .tare bundle, without losing a bit.
#include <boost/json.hpp>
#include <iomanip>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/interrupt.hpp"
#include "core/base/progress.hpp"
#include "core/bundle/tare_pack.hpp"

namespace tare {
namespace {

struct Options {
  std::string source, out;
  std::vector<std::string> exclude;
  int32_t threads = 0;
  bool as_json = false;
};

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
  const auto report = pack_tare(o.source, o.out, (*host)->families(), options);
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
  command->add_option("MODEL", o->source, "Hugging Face folder, or .gguf file (its BF16 expansion)")
      ->required();
  command->add_option("-o,--output", o->out, "The bundle to write")->required();
  command->add_option("--exclude", o->exclude, "Leave out files that match this pattern, such as '*.bin' (repeatable)")
      ->allow_extra_args(false);
  command->add_option("--threads,-t", o->threads, "CPU threads; 0: all cores")->check(CLI::NonNegativeNumber);
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
