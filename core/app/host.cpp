#include "core/app/host.hpp"

#include "core/plugin/search.hpp"
#include "jit/device_bundle.hpp"

namespace tare {

HostOptions host_options(const Settings& settings, const Environment& environment) {
  HostOptions out{.plugin_path = settings.plugin_path};
  const bool named = settings.tuning_database != "auto" && settings.tuning_database != "none";
  out.tuning =
      tuning_places(named ? settings.resolve(settings.tuning_database) : settings.tuning_database, environment);
  const std::string cache = user_folders(environment).cache;
  if (settings.kernel_cache == "auto")
    out.jit.cache_folder = cache.empty() ? "" : cache + "/kernels";
  else if (settings.kernel_cache != "none")
    out.jit.cache_folder = settings.resolve(settings.kernel_cache);
  out.jit.cache_bytes = settings.kernel_cache_bytes;
  if (!settings.kernel_sources.empty()) out.jit.source_tree = settings.resolve(settings.kernel_sources);
  for (const std::string& folder : settings.compiler_path) out.jit.nvrtc_folders.push_back(settings.resolve(folder));
  if (!cache.empty()) out.jit.nvrtc_folders.push_back(cache + "/nvrtc-13.0");
  return out;
}

std::unique_ptr<Host> Host::open(const HostOptions& wanted, std::unique_ptr<Log> log) {
  auto host = std::unique_ptr<Host>(new Host);
  host->log_ = std::move(log);
  host->tuning_ = wanted.tuning;
  host->ops_ = builtin_ops();
  jit::JitOptions jit = wanted.jit;
  const std::string program = executable_path(), bin = program.substr(0, program.rfind('/'));
  if (!bin.empty())  // beside the program; in a checkout's cache, where this is its build folder
    for (const char* place : {"/../lib/tare/nvrtc", "/../../.cache/nvrtc-13.0"})
      jit.nvrtc_folders.push_back(bin + place);
  jit.nvrtc_folders = jit::nvrtc_folders(jit.nvrtc_folders);
  if (!jit.warn) jit.warn = [log = host->log_.get()](const std::string& sentence) { log->warning(sentence); };
  host->jit_ = jit::make_jit(std::move(jit));
  if (Status status = host->jit_->add_bundle(jit::device_bundle()); !status.ok()) host->log_->warning(status.message());
  PluginHostOptions options;
  options.search = {.config_path = wanted.plugin_path,
                    .environment_path = "",
                    .install_folders = install_folders_of(executable_path())};
  options.interfaces = {{std::string(Log::kInterface), host->log_.get()},
                        {std::string(jit::Jit::kInterface), host->jit_.get()}};
  for (std::string_view op : host->ops_.names()) options.built_in_ops.emplace_back(op);
  host->plugins_ = std::make_unique<PluginHost>(std::move(options));
  for (const RefusedPlugin& refused : host->plugins_->refused()) host->log_->warning(refused.sentence());
  const Registrations& found = host->plugins_->registrations();
  for (const OpDefinition* op : found.ops)
    if (Status status = host->ops_.add(*op, "a plugin"); !status.ok()) host->log_->warning(status.message());
  host->registry_ = Registry(found.kernels, found.layouts);
  return host;
}

const TextService* Host::text_service() const noexcept {
  const auto& texts = plugins_->registrations().texts;
  return texts.empty() ? nullptr : texts.front();
}

Result<std::unique_ptr<Device>> Host::open_device(std::string_view id, const DeviceOptions& options) const {
  const std::string_view kind = id.substr(0, id.find(':'));
  std::string known;
  for (const DeviceProvider* provider : plugins_->registrations().devices) {
    if (provider->kind() == kind) return provider->open(id, options);
    known += text(known.empty() ? "" : ", ", provider->kind());
  }
  return failure(Code::not_found, "device '", id, "': no plugin brings the kind '", kind,
                 "', there are: ", known.empty() ? "none" : known);
}

}  // namespace tare
