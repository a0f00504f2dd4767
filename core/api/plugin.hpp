// The plugin door: one exported constant data symbol, read and checked before the library is loaded, then one callback
// that receives a Registrar. Nothing throws across it; nothing outlives the library (the host keeps it loaded).
//
//   TARE_PLUGIN("org.example.attention", "1.0.0", register_plugin)     // once, in one source file
//   with  tare::Status register_plugin(tare::Registrar&);              // an exception that leaves it becomes a Status
//
// Contract: docs/formats/plugin.md.
#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>

#include "core/api/fingerprint.hpp"
#include "core/api/front_end.hpp"
#include "core/api/kernel.hpp"
#include "core/api/log.hpp"
#include "core/api/model.hpp"
#include "core/api/op_definition.hpp"
#include "core/api/text.hpp"

namespace tare {

// What a plugin adds. Every call may be refused (a duplicate id names both owners); the plugin goes on, the host
// reports. The host takes ownership and destroys what was added before it unloads the library. [loader]
class Registrar {
 public:
  virtual ~Registrar() = default;
  virtual void add_model(ModelFamily family) = 0;
  virtual void add_op(OpDefinition definition) = 0;
  virtual void add_kernel(std::unique_ptr<KernelCandidate> candidate) = 0;
  virtual void add_layout(std::unique_ptr<Layout> layout) = 0;
  virtual void add_device(std::unique_ptr<DeviceProvider> provider) = 0;
  virtual void add_text(std::unique_ptr<TextService> service) = 0;
  virtual void add_front_end(std::unique_ptr<FrontEndService> service) = 0;
  // A service of another kind, found by its interface's "name/revision"; the deleter belongs to the plugin.
  virtual void add_service(std::string_view interface, std::shared_ptr<void> service) = 0;
  // An interface of the host by "name/revision" ("log/1", "jit/1", "cuda_launch/1"), or null. Host's; lives as long as
  // the plugin.
  virtual void* query(std::string_view interface) noexcept = 0;

  template <class Interface>
  Interface* query() noexcept {
    return static_cast<Interface*>(query(Interface::kInterface));
  }
};

enum AbiKind : uint32_t { kCppExact = 1, kCProgram = 2 };
constexpr uint32_t kAbiMajor = 1, kAbiMinor = 0;

// Plain, constant, readable before any plugin code runs: fixed offsets, no pointers to text. The callback's slot is
// filled by relocation, so the loader does not read it from the file.
struct PluginDescriptor {
  char magic[8];          // "TAREPLUG"
  uint32_t struct_bytes;  // sizeof(PluginDescriptor): room to grow
  uint32_t abi_kind;      // kCppExact, kCProgram
  uint32_t abi_major, abi_minor;
  char build_fingerprint[128];  // compiler's ABI and interface headers' hash (fingerprint.hpp); empty for kCProgram
  char id[64];                  // "org.example.attention"
  char version[16];
  Status (*register_into)(Registrar&) noexcept;  // kCppExact
  // kCProgram: pure C. config.json's text -> Program text (docs/formats/program.md), 0 on success; otherwise *error.
  int32_t (*program)(const char* config_json, size_t bytes, char** text, char** error);
  void (*release)(char*);  // frees what `program` returned
};

namespace detail {
template <size_t N>
constexpr void put(char (&to)[N], std::string_view from) {
  for (size_t i = 0; i < N - 1 && i < from.size(); ++i) to[i] = from[i];
}
constexpr PluginDescriptor describe(std::string_view id, std::string_view version,
                                    Status (*register_into)(Registrar&) noexcept) {
  PluginDescriptor d{};
  put(d.magic, "TAREPLUG"), d.magic[7] = 'G';
  d.struct_bytes = sizeof(PluginDescriptor), d.abi_kind = kCppExact, d.abi_major = kAbiMajor, d.abi_minor = kAbiMinor;
  put(d.build_fingerprint, kBuildFingerprint), put(d.id, id), put(d.version, version);
  d.register_into = register_into;
  return d;
}

// What the door calls: the author's function with its exceptions turned into a Status, so that nothing throws across.
template <auto register_function>
Status shielded(Registrar& registrar) noexcept {
  try {
    try {
      return register_function(registrar);
    } catch (const std::exception& e) {
      return failure(Code::internal, "it threw: ", e.what());
    }
  } catch (...) {
    return {Code::internal, "it threw"};
  }
}
}  // namespace detail
}  // namespace tare

#define TARE_EXPORT __attribute__((visibility("default")))
#define TARE_PLUGIN(plugin_id, plugin_version, register_function)                                            \
  extern "C" {                                                                                               \
  extern TARE_EXPORT __attribute__((section(".tare_plugin"))) const ::tare::PluginDescriptor tare_plugin_v1; \
  constinit const ::tare::PluginDescriptor tare_plugin_v1 =                                                  \
      ::tare::detail::describe(plugin_id, plugin_version, ::tare::detail::shielded<register_function>);      \
  }
