// tare synth SHAPE -o DIR|FILE.tare: a model of a known shape with weights that look trained, for tests and
// measurements.
#include <cstdio>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/interrupt.hpp"
#include "core/base/file.hpp"
#include "core/base/progress.hpp"
#include "core/bundle/tare_pack.hpp"
#include "core/base/partial_folder.hpp"
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
            << human_bytes(written.weight_bytes) << " of BF16"
            << (o.out.ends_with(".tare") ? std::string(", packed, ")
                                         : text(" in ", written.shards, written.shards == 1 ? " file, " : " files, "))
            << fixed(written.seconds, 1) << " s\n"
            << "  exponents: " << fixed(s.entropy, 3) << " bits of entropy, " << fixed(100 * s.outside_7, 2)
            << " % outside the best 7, " << fixed(100 * s.outside_15, 3) << " % outside the best 15\n";
  for (const std::string& name : s.wide) std::cout << "  outlier tensor: " << name << '\n';
}

// Packs a folder that is made beside the bundle and goes with this call: the room of both is needed meanwhile.
Result<synth::Written> write_bundle(const synth::Shape& shape, const Options& o, const synth::Options& options,
                                    const Host& host) {
  if (is_folder(o.out)) return invalid(o.out, ": is a folder, expected a file to write");
  if (!is_folder(folder_name(o.out)))
    return failure(Code::not_found, o.out, ": its folder ", folder_name(o.out), " does not exist");
  TARE_ASSIGN_OR_RETURN(const auto beside, PartialFolder::create(o.out + ".model"));
  const std::string model = join_path(beside->path(), shape.name);
  TARE_ASSIGN_OR_RETURN(synth::Written written, synth::write_model(shape, model, options));
  PackOptions pack;
  pack.threads = options.threads, pack.show_progress = options.show_progress, pack.stop = options.stop;
  TARE_ASSIGN_OR_RETURN(const PackReport report, pack_tare(model, o.out, host.families(), pack));
  written.seconds += report.seconds;
  return written;
}

int run(const CommandLine& line, const Options& o) {
  Result<synth::Shape> shape = synth::find_shape(o.shape);
  if (!shape.ok()) return fail(shape.status());
  if (o.layers > 0) shape->layers = o.layers;
  const Interrupt interrupt;
  synth::Options options{.seed = o.seed, .threads = o.threads, .show_progress = Progress::stderr_is_terminal()};
  options.stop = [&] { return interrupt.asked(); };
  const bool bundle = o.out.ends_with(".tare");
  Result<synth::Written> written = Status(Code::internal, "nothing was written");
  if (bundle) {
    const auto host = line.host();
    if (!host.ok()) return fail(host.status());
    written = write_bundle(*shape, o, options, **host);
  } else {
    written = synth::write_model(*shape, o.out, options);
  }
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
  command
      ->add_option("-o,--output", o->out,
                   "Folder to write (must not exist or be empty), or a bundle to pack: FILE.tare")
      ->required();
  command->add_option("--seed", o->seed, "The same seed gives the same bytes")->capture_default_str();
  command->add_option("--layers", o->layers, "Layers, when not as many as the model has")->check(CLI::Range(1, 1000));
  command->add_option("--threads", o->threads, "Threads; 0: all cores")->check(CLI::Range(0, 1024));
  command->add_flag("--quiet", o->quiet, "Print nothing");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
