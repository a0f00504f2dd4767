// tare unpack FILE -o DIR: the files that a bundle was packed from, byte for byte.
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/interrupt.hpp"
#include "core/bundle/tare_pack.hpp"

namespace tare {
namespace {

struct Options {
  std::string bundle, out;
  int32_t threads = 0;
};

int run(const Options& o) {
  const Interrupt interrupt;
  TareWork work;
  work.threads = o.threads, work.show_progress = true;
  work.stop = [&] { return interrupt.asked(); };
  if (const Status status = unpack_tare(o.bundle, o.out, work); !status.ok()) return fail(status);
  std::cout << o.out << ": restored from " << o.bundle << ", every SHA-256 is equal\n";
  return 0;
}

}  // namespace

void add_unpack(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("unpack", "Restore the files that a .tare bundle was packed from");
  auto o = std::make_shared<Options>();
  command->add_option("BUNDLE", o->bundle, ".tare bundle")->required();
  command->add_option("-o,--output", o->out, "The folder to write; must not exist, or be empty")->required();
  command->add_option("--threads,-t", o->threads, "CPU threads; 0: all cores")->check(CLI::NonNegativeNumber);
  command->callback([&line, o] { line.run = [o] { return run(*o); }; });
}

}  // namespace tare
