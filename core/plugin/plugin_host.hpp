// PluginHost: finds, checks, loads and owns plugins. A plugin that is refused costs one sentence; the rest runs on.
// Nothing is unloaded while the host, or a keep_alive() of it, lives. [loader]; what it lists is const afterwards.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/plugin.hpp"
#include "core/plugin/c_program.hpp"
#include "core/plugin/refusal.hpp"
#include "core/plugin/registrar.hpp"
#include "core/plugin/search.hpp"

namespace tare {

// One plugin that is in use: plain facts, printable.
struct LoadedPlugin {
  std::string file, origin;  // origin: where the search met it ("install folder")
  std::string id, version;
  AbiKind abi_kind = kCppExact;
  std::vector<std::string> families, architectures, kernels, layouts, devices, services, ops;
};
struct RefusedPlugin {
  std::string origin;
  Refusal refusal;
  std::string sentence() const { return refusal.sentence(); }
};

// Everything that plugins registered, in the order of loading and, inside a plugin, of registration. Pointers are the
// host's and live as long as it does.
struct Registrations {
  std::vector<const ModelFamily*> families;
  std::vector<const OpDefinition*> ops;
  std::vector<const KernelCandidate*> kernels;
  std::vector<const Layout*> layouts;
  std::vector<const DeviceProvider*> devices;
  std::vector<const TextService*> texts;
  std::vector<FrontEndService*> front_ends;
  std::vector<std::pair<std::string, void*>> services;  // further ones, by interface
  std::vector<const CProgram*> programs;                // plugins in pure C

  // A further service by its interface, or null.
  template <class Interface>
  Interface* service() const noexcept {
    for (const auto& [interface, object] : services)
      if (interface == Interface::kInterface) return static_cast<Interface*>(object);
    return nullptr;
  }
};

struct PluginHostOptions {
  PluginSearch search;
  HostInterfaces interfaces;              // handed over by Registrar::query
  std::vector<std::string> built_in_ops;  // ops that plugins may not define again
};

class PluginHost {
 public:
  // Searches and loads. Never fails as a whole: see refused() and places().
  explicit PluginHost(PluginHostOptions options);
  ~PluginHost();
  PluginHost(PluginHost&&) noexcept;
  PluginHost& operator=(PluginHost&&) noexcept;

  // One more file, after the search; the sentence also goes to refused().
  Status load(const std::string& file, std::string_view origin);

  const std::vector<SearchedPlace>& places() const noexcept;
  const std::vector<LoadedPlugin>& loaded() const noexcept;
  const std::vector<RefusedPlugin>& refused() const noexcept;
  const Registrations& registrations() const noexcept;
  // Who registered `kind 'id'` ("kernel", "linear.cpu"): the plugin's id and file, or "".
  std::string owner(std::string_view kind, std::string_view id) const;
  // Holds every library and everything registered, also past the PluginHost's end: for what plugins made (devices,
  // instances, text models) and somebody keeps.
  std::shared_ptr<const void> keep_alive() const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tare
