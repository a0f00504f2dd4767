// Host: what every subcommand stands on: settings, log, loaded plugins, the registry and the table of ops. Built once
// in main, passed down; then const and [any thread].
#pragma once
#include <memory>
#include <string>

#include "core/api/log.hpp"
#include "core/app/tuning.hpp"
#include "core/config/settings.hpp"
#include "core/plugin/plugin_host.hpp"
#include "core/program/op_table.hpp"
#include "core/registry/registry.hpp"
#include "jit/host.hpp"

namespace tare {

struct HostOptions {
  std::vector<std::string> plugin_path;  // searched first, then the folder beside the program
  TuningPlaces tuning = {};              // none unless named
  jit::JitOptions jit = {};              // by default: NVRTC in the usual places, nothing kept on disk
};
// What the settings say of plugins and kernels; the environment, of this user's folders.
HostOptions host_options(const Settings& settings, const Environment& environment);

class Host {
 public:
  // Never fails as a whole: refused plugins are warnings in the log and stay listed.
  static std::unique_ptr<Host> open(const HostOptions& options, std::unique_ptr<Log> log);

  Log& log() const noexcept { return *log_; }
  const PluginHost& plugins() const noexcept { return *plugins_; }
  const Registry& registry() const noexcept { return registry_; }
  const OpTable& ops() const noexcept { return ops_; }
  jit::Jit& jit() const noexcept { return *jit_; }
  std::span<const ModelFamily* const> families() const noexcept { return plugins_->registrations().families; }
  const TuningPlaces& tuning_places() const noexcept { return tuning_; }
  // What was measured for a device, read now; null when no place is named.
  std::shared_ptr<const TuningStore> tuning(const DeviceInfo& device) const {
    return open_tuning(tuning_, with_sku(device, sku_table(tuning_, *log_)), registry_, *log_);
  }
  const TextService* text_service() const noexcept;  // null: no text plugin
  // Opens "cpu", "cuda:0", ...; refused with what was found where.
  Result<std::unique_ptr<Device>> open_device(std::string_view id, const DeviceOptions& options) const;

 private:
  Host() = default;
  std::unique_ptr<Log> log_;
  TuningPlaces tuning_;
  std::unique_ptr<jit::Jit> jit_;
  std::unique_ptr<PluginHost> plugins_;
  Registry registry_;
  OpTable ops_;
};

}  // namespace tare
