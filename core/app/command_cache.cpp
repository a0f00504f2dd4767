// tare cache list | clear | fill: the GPU kernels that were compiled and kept on disk.
#include <ctime>
#include <iostream>

#include "core/app/cache_fill.hpp"
#include "core/app/cli.hpp"

namespace tare {
namespace {

// The folder, or "" with a sentence on standard output where nothing is kept.
Result<std::string> folder_of(const CommandLine& line) {
  TARE_ASSIGN_OR_RETURN(const Settings settings, line.settings());
  std::string folder = host_options(settings, process_environment()).jit.cache_folder;
  if (folder.empty()) std::cout << "compiled kernels are not kept on disk\n";
  return folder;
}

int list(const CommandLine& line) {
  const auto folder = folder_of(line);
  if (!folder.ok()) return fail(folder.status());
  if (folder->empty()) return 0;
  int64_t bytes = 0;
  const auto kernels = jit::cached_kernels(*folder);
  for (const jit::CachedKernel& k : kernels) {
    char day[32] = {};
    const auto time = static_cast<std::time_t>(k.last_used);
    std::tm parts{};
    std::strftime(day, sizeof day, "%Y-%m-%d %H:%M", gmtime_r(&time, &parts));
    std::cout << k.key << "  " << k.bytes << " bytes  " << day << "  "
              << (k.symbol.empty() ? "cannot be read; it is removed when it is wanted" : k.symbol) << '\n';
    bytes += k.bytes;
  }
  std::cout << *folder << ": " << kernels.size() << " kernels, " << bytes << " bytes\n";
  return 0;
}

int clear(const CommandLine& line) {
  const auto folder = folder_of(line);
  if (!folder.ok()) return fail(folder.status());
  if (folder->empty()) return 0;
  const auto removed = jit::clear_cached_kernels(*folder);
  if (!removed.ok()) return fail(removed.status());
  std::cout << *folder << ": " << *removed << " kernels removed\n";
  return 0;
}

}  // namespace

void add_cache(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("cache", "The GPU kernels that were compiled and kept on disk");
  command->require_subcommand(1);
  command->add_subcommand("list", "One a line, least recently used first")->callback([&line] {
    line.run = [&line] { return list(line); };
  });
  command->add_subcommand("clear", "Remove them all")->callback([&line] {
    line.run = [&line] { return clear(line); };
  });
  add_cache_fill(*command, line);
}

}  // namespace tare
