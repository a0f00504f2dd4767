// tare: the one executable. Builds the parser, runs what was chosen; nothing happens before main asks for it.
#include <csignal>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/version.hpp"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes away is an error of write, not the end of the process
  std::signal(SIGXFSZ, SIG_IGN);  // and so is a limit on the size of files
  CLI::App app("Tare serves language models with their weights losslessly compressed in memory.", "tare");
  tare::CommandLine line;
  app.set_version_flag("--version", tare::text("tare ", tare::kVersion, " (", tare::kCommit, "; ", tare::kBuild, ")"));
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--plugin-path", line.plugin_path, "Folders or files of plugins, searched first");
  app.add_option("--log-level", line.log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--log-format", line.log_format, "text or json")->check(CLI::IsMember({"text", "json"}));
  for (auto add :
       {tare::add_serve, tare::add_generate, tare::add_inspect, tare::add_pack, tare::add_unpack, tare::add_verify,
        tare::add_synth, tare::add_autotune, tare::add_explain, tare::add_plan, tare::add_plugins, tare::add_devices, tare::add_tuning,
        tare::add_tokenize, tare::add_template, tare::add_bench, tare::add_cache, tare::add_completion})
    add(app, line);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;  // help and version leave with 0
  }
  try {
    return line.run ? line.run() : 2;
  } catch (const std::exception& error) {  // our own mistake or no memory: say it, do not abort
    return tare::fail(error.what());
  }
}
