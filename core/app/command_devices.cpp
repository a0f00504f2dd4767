// tare devices: what was found where.
#include <boost/json.hpp>
#include <iostream>

#include "core/app/cli.hpp"

namespace tare {
namespace {

int run(const CommandLine& line, bool as_json) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host* host = opened_host->get();
  boost::json::array devices, notes;
  for (const DeviceProvider* provider : host->plugins().registrations().devices) {
    const DeviceProvider::Found found = provider->found();
    for (const DeviceInfo& d : found.devices) {
      boost::json::array features;
      for (const std::string& f : d.features) features.emplace_back(f);
      devices.push_back({{"id", d.id},
                         {"name", d.name},
                         {"architecture", d.architecture},
                         {"sku", d.sku},
                         {"memory_bytes", d.memory_bytes},
                         {"units", d.units},
                         {"features", features}});
      if (!as_json) {
        std::cout << d.id << "  " << d.name << ", " << d.architecture << ", " << d.units << " units, "
                  << d.memory_bytes / (1 << 20) << " MiB, sku " << d.sku << "\n   ";
        for (const std::string& f : d.features) std::cout << ' ' << f;
        std::cout << '\n';
      }
    }
    for (const std::string& note : found.notes) {
      notes.push_back(boost::json::string(note));
      if (!as_json) std::cout << provider->kind() << ": " << note << '\n';
    }
  }
  for (const std::string& note : host->jit().found()) {
    notes.push_back(boost::json::string(note));
    if (!as_json) std::cout << "jit: " << note << '\n';
  }
  if (as_json) std::cout << boost::json::object{{"devices", devices}, {"notes", notes}} << '\n';
  if (devices.empty() && !as_json) std::cout << "no device was found\n";
  return 0;
}

}  // namespace

void add_devices(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("devices", "List the devices that plugins found, and what was looked for where");
  auto as_json = std::make_shared<bool>(false);
  command->add_flag("--json", *as_json, "Machine-readable");
  command->callback([&line, as_json] { line.run = [&line, as_json] { return run(line, *as_json); }; });
}

}  // namespace tare
