#include "core/plugin/check.hpp"

#include <exception>

#include "core/plugin/check_parts.hpp"
#include "core/plugin/descriptor.hpp"

namespace tare {
namespace {

class ReportSink final : public CheckSink {
 public:
  explicit ReportSink(CheckReport& report) : report_(report) {}
  void begin(const std::string&, Blame) override {}
  void line(CheckLine line) override { report_.lines.push_back(std::move(line)); }

 private:
  CheckReport& report_;
};

class SilentLog final : public Log {
 public:
  void write(LogLevel, std::string_view) noexcept override {}
};

void check_services(const PluginHost& host, CheckSink& sink) {
  const Registrations& r = host.registrations();
  for (const DeviceProvider* provider : r.devices) {
    const std::string what = text("device provider '", provider->kind(), "'");
    sink.begin(what + ": found()");
    const DeviceProvider::Found found = provider->found();
    bool good = true;
    for (const DeviceInfo& device : found.devices)
      if (device.kind != provider->kind() || device.id.empty()) {
        sink.failed(what, text("found a device '", device.id, "' of kind '", device.kind, "', expected its own kind"));
        good = false;
      }
    if (good) sink.ok(what, text("found ", found.devices.size(), " devices here"));
  }
  for (const TextService* service : r.texts) {
    sink.begin("text service: open() of nothing");
    const auto opened = service->open({});
    sink.begin("text service: render() of a broken template");
    const auto rendered = service->render("{% if", "{}", {});
    if (opened.ok() || rendered.ok())
      sink.failed("text service", opened.ok() ? "opened a source without a tokenizer, expected a refusal"
                                              : "rendered '{% if', expected a refusal");
    else
      sink.ok("text service", "refuses an empty source and a broken template");
  }
  for (const FrontEndService* service : r.front_ends)
    sink.ok(text("front end '", service->name(), "'"), "registered (it is not started here)");
  for (const auto& [interface, object] : r.services)
    sink.ok(text("service '", interface, "'"), "registered (its interface is not known here)");
}

// All that runs the plugin's code. The last step lets go of everything: destructors are the plugin's code too.
void check_running(const std::string& file, const CheckOptions& options, CheckSink& sink) {
  SilentLog silent;
  PluginHostOptions host_options;
  host_options.interfaces = options.interfaces;
  host_options.interfaces.try_emplace(std::string(Log::kInterface), static_cast<Log*>(&silent));
  host_options.built_in_ops = options.built_in_ops;
  PluginHost host(std::move(host_options));
  sink.begin("loading and registration");
  if (const Status status = host.load(file, "check"); !status.ok()) {
    const bool missing = status.message().find("cannot open shared object file") != std::string::npos;
    return sink.line(
        {CheckOutcome::failed, "registration", status.message(), missing ? Blame::machine : Blame::plugin});
  }
  const LoadedPlugin& plugin = host.loaded().front();
  const Registrations& r = host.registrations();
  const size_t parts = plugin.families.size() + plugin.kernels.size() + plugin.layouts.size() + plugin.devices.size() +
                       plugin.services.size() + plugin.ops.size() + r.programs.size();
  if (parts == 0)
    sink.warning("registration", "nothing was registered");
  else
    sink.ok("registration",
            text(plugin.families.size(), " families, ", plugin.kernels.size(), " kernels, ", plugin.layouts.size(),
                 " layouts, ", plugin.devices.size(), " devices, ", plugin.services.size(), " services, ",
                 plugin.ops.size(), " ops, ", r.programs.size(), " C programs"));
  const auto each = [&](const auto& list, auto check) {
    for (const auto* part : list) try {
        check(*part, sink);
      } catch (const std::exception& e) {
        sink.failed("exceptions", text("a call threw across the door (", e.what(), "), expected a value"));
      }
  };
  each(r.families, check_family);
  each(r.kernels, check_kernel);
  each(r.layouts, check_layout);
  each(r.programs, check_program);
  try {
    check_services(host, sink);
  } catch (const std::exception& e) {
    sink.failed("exceptions", text("a service threw across the door (", e.what(), "), expected a value"));
  }
  sink.begin("destruction of what was registered, and unloading");
  host = PluginHost(PluginHostOptions{});
  sink.ok("unloading", "everything was destroyed and the library let go");
}

Blame blame_for(const Refusal& refusal) {
  for (const char* field : {"build_fingerprint", "abi_kind", "abi_major", "abi_minor", "struct_bytes", "the machine",
                            "the ELF class", "the byte order"})
    if (refusal.field == field) return Blame::build;
  return Blame::plugin;
}

}  // namespace

CheckReport check_plugin(const std::string& file, const CheckOptions& options) {
  CheckReport report;
  report.file = file;
  ReportSink sink(report);
  const auto refuse = [&](std::string check, const Refusal& refusal) {
    sink.line({CheckOutcome::failed, std::move(check), refusal.sentence(), blame_for(refusal)});
    return report;
  };
  auto elf = ElfFile::read(file);
  if (!elf) return refuse("file", elf.refusal());
  sink.ok("file", text(elf->segments().size(), " segments and ", elf->sections().size(),
                       " sections, all inside the file, for this machine"));
  auto facts = inspect_elf(*elf);
  if (!facts) return refuse("descriptor", facts.refusal());
  report.id = facts->id, report.version = facts->version;
  check_elf(*elf, sink);
  if (auto refusal = compare(*facts)) return refuse("descriptor", *refusal);
  sink.ok("descriptor", text("'", facts->id, "' ", facts->version, ", ABI ", facts->abi_major, ".", facts->abi_minor,
                             facts->abi_kind == kCProgram ? ", C program" : ", C++ of this build"));
  check_in_child(options.time_limit_ms, sink, [&](CheckSink& child) { check_running(file, options, child); });
  return report;
}

}  // namespace tare
