// tare serve CONFIG.toml | MODEL_PATH [--listen] [--check].
#include <filesystem>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/interrupt.hpp"
#include "core/app/serving.hpp"
#include "core/base/log.hpp"

namespace tare {
namespace {

struct Options {
  std::string source, listen;
  bool check = false;
};

Result<Settings> settings_for(const CommandLine& line, const Options& o, bool& made_up) {
  made_up = !(o.source.size() > 5 && o.source.ends_with(".toml"));
  auto settings =
      made_up ? settings_for_model(o.source, process_environment()) : load_settings(o.source, process_environment());
  if (!settings.ok()) return settings;
  if (!o.listen.empty()) TARE_RETURN_IF_ERROR(parse_listen(o.listen, &settings->server).in("--listen"));
  TARE_RETURN_IF_ERROR(line.apply(*settings));
  return settings;
}

int run(const CommandLine& line, const Options& o) {
  bool made_up = false;
  const auto settings = settings_for(line, o, made_up);
  if (!settings.ok()) return fail(settings.status());
  auto log = make_log(settings->log);
  if (!log.ok()) return fail(log.status());
  const Interrupt interrupt;
  const auto host = Host::open(host_options(*settings, process_environment()), std::move(*log));
  auto plan = plan_serving(*host, *settings, !o.check);
  if (!plan.ok()) return fail(plan.status());
  if (made_up)
    std::cout << "# served with these settings; save them as a .toml file to change them\n"
              << print_settings(*settings) << '\n';
  std::cout << to_string(*plan) << std::flush;
  if (o.check) {
    std::cout << (settings->file.empty() ? o.source : settings->file) << " is valid\n";
    return 0;
  }
  auto serving = Serving::start(*host, *settings, std::move(*plan));
  if (!serving.ok()) return fail(serving.status());
  std::cout << "listening on " << (*serving)->url() << std::endl;
  interrupt.wait();
  host->log().info("shutting down");
  (*serving)->shut_down();
  return 0;
}

}  // namespace

void add_serve(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("serve", "Serve models over an OpenAI-compatible port");
  auto o = std::make_shared<Options>();
  command->add_option("SOURCE", o->source, "A .toml file, or a model's folder or GGUF file")->required();
  command->add_option("--listen", o->listen, "HOST:PORT in place of the settings' own; port 0: any free one");
  command->add_flag("--check", o->check, "Validate and print the memory plan, then stop");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
