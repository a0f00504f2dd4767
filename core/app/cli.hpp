// The command line: one file a subcommand. Each adds itself to the parser and, when it was chosen, leaves a function to
// run. Exit codes: 0 done, 1 failed, 2 wrong usage.
#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "core/app/model.hpp"
#include "core/config/settings.hpp"

namespace tare {

// Options that every subcommand shares, and what was chosen.
struct CommandLine {
  std::vector<std::string> plugin_path;
  std::string log_level, log_format;  // empty: as the settings have it
  std::function<int()> run;

  // What the shared options say goes over what file and environment say.
  Status apply(Settings& settings) const;
  // A host without a TOML file: the environment, the shared options, and a log of warnings.
  Result<std::unique_ptr<Host>> host() const;
  // The settings that host() opens with.
  Result<Settings> settings() const;
};

void add_serve(CLI::App& app, CommandLine& line);
void add_generate(CLI::App& app, CommandLine& line);
void add_bench(CLI::App& app, CommandLine& line);
void add_bench_linear(CLI::App& bench, CommandLine& line);
void add_inspect(CLI::App& app, CommandLine& line);
void add_pack(CLI::App& app, CommandLine& line);
void add_unpack(CLI::App& app, CommandLine& line);
void add_verify(CLI::App& app, CommandLine& line);
void add_synth(CLI::App& app, CommandLine& line);
void add_autotune(CLI::App& app, CommandLine& line);
void add_explain(CLI::App& app, CommandLine& line);
void add_plan(CLI::App& app, CommandLine& line);
void add_plugins(CLI::App& app, CommandLine& line);
void add_devices(CLI::App& app, CommandLine& line);
void add_tuning(CLI::App& app, CommandLine& line);
void add_tokenize(CLI::App& app, CommandLine& line);  // and detokenize
void add_template(CLI::App& app, CommandLine& line);
void add_cache(CLI::App& app, CommandLine& line);  // compiled GPU kernels
void add_completion(CLI::App& app, CommandLine& line);

// Prints "tare: SENTENCE" to stderr; 1.
int fail(const Status& status);
int fail(std::string_view sentence);

// What generate, bench and tokenize take alike.
struct ModelOptions {
  std::string model, device = "cpu", memory, weights, layout, objective = "latency";
  int32_t threads = 0, context = 0, chunk = 512, sequences = 64;
  bool references = false, free_order = false, no_graphs = false;
  void add_to(CLI::App& command);
};
// "78%" of the weights' plain size, "2GiB", plain bytes; 0 for "".
Result<int64_t> parse_weight_cap(const std::string& text, const Program& program);
// "latency", "throughput", "balanced", "memory", "mix:1=0.7,16=0.3".
Result<LayoutAim> parse_aim(const std::string& objective);
// Device and model together; the device outlives the model.
struct RunningModel {
  std::unique_ptr<Device> device;
  LoadedModel model;
};
Result<RunningModel> load_for(const Host& host, const ModelOptions& options);
// "60GiB", "512MiB", "90%" of `total`, plain bytes; 0 for "".
Result<int64_t> parse_memory(const std::string& text, int64_t total, std::string_view what = "memory");

}  // namespace tare
