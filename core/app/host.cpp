#include "core/app/host.hpp"

#include "core/plugin/search.hpp"

namespace tare {

std::unique_ptr<Host> Host::open(const HostOptions& wanted, std::unique_ptr<Log> log) {
  auto host = std::unique_ptr<Host>(new Host);
  host->log_ = std::move(log);
  host->tuning_ = wanted.tuning;
  host->ops_ = builtin_ops();
  PluginHostOptions options;
  options.search = {.config_path = wanted.plugin_path,
                    .environment_path = "",
                    .install_folders = install_folders_of(executable_path())};
  options.interfaces = {{std::string(Log::kInterface), host->log_.get()}};
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
