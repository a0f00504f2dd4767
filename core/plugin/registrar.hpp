// HostRegistrar: the host's side of a registration. Collects what one plugin adds, checks each addition against itself
// and against what others have, and keeps the first mistake; the plugin goes on. [loader]
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/api/plugin.hpp"
#include "core/plugin/refusal.hpp"

namespace tare {

// What one plugin brought. Destroyed before its library is let go.
struct Additions {
  std::vector<std::unique_ptr<ModelFamily>> families;
  std::vector<std::unique_ptr<OpDefinition>> ops;
  std::vector<std::unique_ptr<KernelCandidate>> kernels;
  std::vector<std::unique_ptr<Layout>> layouts;
  std::vector<std::unique_ptr<DeviceProvider>> devices;
  std::vector<std::unique_ptr<TextService>> texts;
  std::vector<std::unique_ptr<FrontEndService>> front_ends;
  std::vector<std::pair<std::string, std::shared_ptr<void>>> services;  // by interface
};

// Interfaces of the host by "name/revision"; they must outlive the PluginHost.
using HostInterfaces = std::map<std::string, void*, std::less<>>;
// "kernel 'linear.cpu'" -> who has it: "'org.example' (FILE)", "the host".
using Owners = std::map<std::string, std::string, std::less<>>;

class HostRegistrar final : public Registrar {
 public:
  HostRegistrar(std::string file, const HostInterfaces& interfaces, const Owners& owners)
      : file_(std::move(file)), interfaces_(interfaces), owners_(owners) {}

  void add_model(ModelFamily family) override;
  void add_op(OpDefinition definition) override;
  void add_kernel(std::unique_ptr<KernelCandidate> candidate) override;
  void add_layout(std::unique_ptr<Layout> layout) override;
  void add_device(std::unique_ptr<DeviceProvider> provider) override;
  void add_text(std::unique_ptr<TextService> service) override;
  void add_front_end(std::unique_ptr<FrontEndService> service) override;
  void add_service(std::string_view interface, std::shared_ptr<void> service) override;
  void* query(std::string_view interface) noexcept override;

  const std::optional<Refusal>& mistake() const noexcept { return mistake_; }
  const std::vector<std::string>& claims() const noexcept { return claims_; }  // keys for Owners
  Additions& additions() noexcept { return additions_; }

 private:
  void refuse(std::string field, std::string found, std::string wanted);
  // Is `kind 'id'` a good name that nobody has? Otherwise the mistake is kept.
  bool claim(const char* kind, std::string_view id);
  template <class T>
  bool present(const char* kind, const T& object) {
    if (object != nullptr) return true;
    refuse(kind, "null", "an object");
    return false;
  }

  std::string file_;
  const HostInterfaces& interfaces_;
  const Owners& owners_;
  std::vector<std::string> claims_;
  std::optional<Refusal> mistake_;
  Additions additions_;
};

}  // namespace tare
