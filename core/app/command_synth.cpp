// tare synth SHAPE -o DIR: a model of a known shape with weights that look trained, for tests and measurements.
#include <cstdio>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/interrupt.hpp"
#include "core/base/progress.hpp"
#include "core/synth/synth.hpp"

namespace tare {
namespace {

struct Options {
  std::string shape, out;
  uint64_t seed = 0;
  int64_t layers = 0;
  int threads = 0;
  bool quiet = false;
};

std::string fixed(double value, int digits) {
  char out[64];
  std::snprintf(out, sizeof out, "%.*f", digits, value);
  return out;
}

void print(const Options& o, const synth::Shape& shape, const synth::Written& written) {
  const synth::Statistics& s = written.statistics;
  std::cout << o.out << ": " << shape.name << " with " << shape.layers << " layers, seed " << o.seed << ", "
            << human_bytes(written.weight_bytes) << " of BF16 in " << written.shards
            << (written.shards == 1 ? " file, " : " files, ") << fixed(written.seconds, 1) << " s\n"
            << "  exponents: " << fixed(s.entropy, 3) << " bits of entropy, " << fixed(100 * s.outside_7, 2)
            << " % outside the best 7, " << fixed(100 * s.outside_15, 3) << " % outside the best 15\n";
  for (const std::string& name : s.wide) std::cout << "  outlier tensor: " << name << '\n';
}

int run(const Options& o) {
  Result<synth::Shape> shape = synth::find_shape(o.shape);
  if (!shape.ok()) return fail(shape.status());
  if (o.layers > 0) shape->layers = o.layers;
  const Interrupt interrupt;
  synth::Options options{.seed = o.seed, .threads = o.threads, .show_progress = Progress::stderr_is_terminal()};
  options.stop = [&] { return interrupt.asked(); };
  const auto written = synth::write_model(*shape, o.out, options);
  if (!written.ok()) return fail(written.status());
  if (!o.quiet) print(o, *shape, *written);
  return 0;
}

}  // namespace

void add_synth(CLI::App& app, CommandLine& line) {
  std::string names;
  for (const synth::Shape& shape : synth::shapes()) names += (names.empty() ? "" : ", ") + std::string(shape.name);
  auto* command = app.add_subcommand("synth", "Write a model of a known shape with random weights that look trained");
  auto o = std::make_shared<Options>();
  command->add_option("SHAPE", o->shape, "One of " + names)->required();
  command->add_option("-o,--out", o->out, "Folder to write; must not exist or be empty")->required();
  command->add_option("--seed", o->seed, "The same seed gives the same bytes")->capture_default_str();
  command->add_option("--layers", o->layers, "Layers, when not as many as the model has")->check(CLI::Range(1, 1000));
  command->add_option("--threads", o->threads, "Threads; 0: all cores")->check(CLI::Range(0, 1024));
  command->add_flag("--quiet", o->quiet, "Print nothing");
  command->callback([&line, o] { line.run = [o] { return run(*o); }; });
}

}  // namespace tare
