// tare verify FILE [--against DIR] [--deep]: is every byte of a bundle as it was written?
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/interrupt.hpp"
#include "core/app/verify_serving.hpp"

namespace tare {
namespace {

struct Options {
  std::string bundle, against;
  bool deep = false;
  int32_t threads = 0;
};

int run(const CommandLine& line, const Options& o) {
  const Interrupt interrupt;
  VerifyOptions options;
  options.threads = o.threads, options.show_progress = true, options.deep = o.deep, options.against = o.against;
  options.stop = [&] { return interrupt.asked(); };
  if (const Status status = verify_tare(o.bundle, options); !status.ok()) return fail(status);
  if (o.deep || !o.against.empty()) {  // of serving bundles: layouts decode their weights
    const auto host = line.host();
    if (!host.ok()) return fail(host.status());
    int64_t num_weights = 0;
    if (const Status status = verify_laid_out(**host, o.bundle, options, &num_weights); !status.ok())
      return fail(status);
  }
  std::cout << o.bundle << ": every checksum matches";
  if (o.deep || !o.against.empty()) std::cout << ", every tensor decodes to its SHA-256";
  if (!o.against.empty()) std::cout << ", every bit is as in " << o.against;
  std::cout << '\n';
  return 0;
}

}  // namespace

void add_verify(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("verify", "Check every byte of a .tare bundle");
  auto o = std::make_shared<Options>();
  command->add_option("BUNDLE", o->bundle, ".tare bundle")->required();
  command->add_flag("--deep", o->deep, "Decode every tensor too, and compare its SHA-256");
  command->add_option("--against", o->against, "Compare every bit with this folder");
  command->add_option("--threads,-t", o->threads, "CPU threads; 0: all cores")->check(CLI::NonNegativeNumber);
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
