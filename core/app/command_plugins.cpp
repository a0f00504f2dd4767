// tare plugins [--json]: what was found where, what was refused and why. tare plugins check FILE.so: the validator.
#include <boost/json.hpp>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/plugin/check.hpp"
#include "jit/device_bundle.hpp"
#include "jit/host.hpp"

namespace tare {
namespace {

boost::json::array strings(const std::vector<std::string>& list) {
  boost::json::array out;
  for (const std::string& s : list) out.emplace_back(s);
  return out;
}

int list(const CommandLine& line, bool as_json) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host* host = opened_host->get();
  const PluginHost& plugins = host->plugins();
  if (as_json) {
    boost::json::array places, loaded, refused;
    for (const SearchedPlace& p : plugins.places())
      places.push_back({{"path", p.path}, {"origin", p.origin}, {"note", p.note}, {"files", strings(p.files)}});
    for (const LoadedPlugin& p : plugins.loaded())
      loaded.push_back({{"file", p.file},
                        {"origin", p.origin},
                        {"id", p.id},
                        {"version", p.version},
                        {"kind", p.abi_kind == kCProgram ? "c_program" : "cpp_exact"},
                        {"families", strings(p.families)},
                        {"architectures", strings(p.architectures)},
                        {"kernels", strings(p.kernels)},
                        {"layouts", strings(p.layouts)},
                        {"devices", strings(p.devices)},
                        {"services", strings(p.services)},
                        {"ops", strings(p.ops)}});
    for (const RefusedPlugin& p : plugins.refused())
      refused.push_back({{"origin", p.origin}, {"reason", p.sentence()}});
    std::cout << boost::json::object{{"searched", places}, {"loaded", loaded}, {"refused", refused}} << '\n';
    return 0;
  }
  for (const SearchedPlace& p : plugins.places())
    std::cout << p.path << " (" << p.origin << "): " << (p.note.empty() ? text(p.files.size(), " files") : p.note)
              << '\n';
  for (const LoadedPlugin& p : plugins.loaded()) {
    std::cout << "  " << p.id << ' ' << p.version << "  " << p.file << '\n';
    const std::pair<const char*, const std::vector<std::string>*> rows[] = {
        {"architectures", &p.architectures}, {"kernels", &p.kernels}, {"layouts", &p.layouts}, {"devices", &p.devices},
        {"services", &p.services},           {"ops", &p.ops}};
    for (const auto& [label, names] : rows) {
      if (names->empty()) continue;
      std::cout << "      " << label << ':';
      for (const std::string& n : *names) std::cout << ' ' << n;
      std::cout << '\n';
    }
  }
  for (const RefusedPlugin& p : plugins.refused()) std::cout << "  refused: " << p.sentence() << '\n';
  return 0;
}

int check(const CommandLine& line, const std::string& file, bool as_json) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  // A compiler of its own: the plugin may be among those that this host has loaded, and brings its sources again.
  const auto jit = jit::make_jit({});
  if (Status status = jit->add_bundle(jit::device_bundle()); !status.ok()) return fail(status);
  CheckOptions options;
  options.interfaces = {{std::string(Log::kInterface), &(*opened_host)->log()},
                        {std::string(jit::Jit::kInterface), jit.get()}};
  const OpTable ops = builtin_ops();
  for (std::string_view op : ops.names()) options.built_in_ops.emplace_back(op);
  const CheckReport report = check_plugin(file, options);
  boost::json::array lines;
  for (const CheckLine& l : report.lines) {
    lines.push_back({{"outcome", name(l.outcome)}, {"check", l.check}, {"detail", l.detail}, {"blame", name(l.blame)}});
    if (as_json) continue;
    std::cout << (l.outcome == CheckOutcome::ok        ? "  ok       "
                  : l.outcome == CheckOutcome::warning ? "  warning  "
                                                       : "  FAILED   ")
              << l.check << (l.detail.empty() ? "" : ": " + l.detail);
    if (l.outcome != CheckOutcome::ok) std::cout << " (blame: " << name(l.blame) << ')';
    std::cout << '\n';
  }
  if (as_json)
    std::cout << boost::json::object{{"file", report.file},
                                     {"id", report.id},
                                     {"version", report.version},
                                     {"passed", report.passed()},
                                     {"lines", lines}}
              << '\n';
  else
    std::cout << file << (report.passed() ? " is a good plugin\n" : " is not a good plugin\n");
  return report.passed() ? 0 : 1;
}

}  // namespace

void add_plugins(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("plugins", "List plugins: found where, loaded, refused and why");
  auto as_json = std::make_shared<bool>(false);
  auto file = std::make_shared<std::string>();
  command->add_flag("--json", *as_json, "Machine-readable");
  auto* checks = command->add_subcommand("check", "Validate a plugin");
  checks->add_option("FILE", *file, "The shared object")->required();
  command->callback([&line, as_json, checks] {
    if (!checks->parsed()) line.run = [&line, as_json] { return list(line, *as_json); };
  });
  checks->callback(
      [&line, file, as_json] { line.run = [&line, file, as_json] { return check(line, *file, *as_json); }; });
}

}  // namespace tare
