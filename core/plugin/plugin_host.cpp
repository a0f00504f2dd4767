#include "core/plugin/plugin_host.hpp"

#include <exception>
#include <utility>

#include "core/plugin/descriptor.hpp"
#include "core/plugin/library.hpp"

namespace tare {
namespace {

// Members in this order: what the plugin made goes before its code does.
struct Plugin {
  std::shared_ptr<const Library> library;
  Additions additions;
  std::unique_ptr<CProgram> program;
};

template <class Owner, class View>
void append(const std::vector<Owner>& from, std::vector<View>& to) {
  for (const auto& owner : from) to.push_back(owner.get());
}

LoadedPlugin describe(const DescriptorFacts& facts, std::string_view origin, const Plugin& plugin) {
  LoadedPlugin out;
  out.file = facts.file, out.origin = origin, out.id = facts.id, out.version = facts.version;
  out.abi_kind = static_cast<AbiKind>(facts.abi_kind);
  const Additions& a = plugin.additions;
  for (const auto& family : a.families) {
    out.families.push_back(family->id);
    out.architectures.insert(out.architectures.end(), family->architectures.begin(), family->architectures.end());
  }
  for (const auto& kernel : a.kernels) out.kernels.emplace_back(kernel->id());
  for (const auto& layout : a.layouts) out.layouts.emplace_back(layout->id());
  for (const auto& device : a.devices) out.devices.emplace_back(device->kind());
  for (const auto& op : a.ops) out.ops.push_back(op->op);
  for (size_t i = 0; i < a.texts.size(); ++i) out.services.emplace_back(TextService::kInterface);
  for (const auto& front_end : a.front_ends)
    out.services.push_back(text(FrontEndService::kInterface, " ", front_end->name()));
  for (const auto& [interface, service] : a.services) out.services.push_back(interface);
  return out;
}

}  // namespace

struct PluginHost::State {
  PluginHostOptions options;
  std::vector<Plugin> plugins;
  Owners owners;
  std::vector<SearchedPlace> places;
  std::vector<LoadedPlugin> loaded;
  std::vector<RefusedPlugin> refused;
  Registrations registrations;

  Accepted<LoadedPlugin> load(const std::string& file, std::string_view origin);
  // Runs the registration; `plugin` has the additions afterwards, or none of them.
  std::optional<Refusal> register_into(const DescriptorFacts& facts, Plugin& plugin);
};

std::optional<Refusal> PluginHost::State::register_into(const DescriptorFacts& facts, Plugin& plugin) {
  const std::string owner = text("'", facts.id, "' (", facts.file, ")");
  if (facts.abi_kind == kCProgram) {
    plugin.program = std::make_unique<CProgram>(facts.id, facts.file, plugin.library);
    return std::nullopt;
  }
  HostRegistrar registrar(facts.file, options.interfaces, owners);
  const Status status = plugin.library->descriptor().register_into(registrar);
  if (!status.ok())
    return Refusal{facts.file, text("the registration of '", facts.id, "'"), text("refused (", status.message(), ")"),
                   "a registration that succeeds"};
  if (registrar.mistake()) return registrar.mistake();
  plugin.additions = std::move(registrar.additions());
  for (const std::string& claim : registrar.claims()) owners.emplace(claim, owner);
  return std::nullopt;
}

Accepted<LoadedPlugin> PluginHost::State::load(const std::string& file, std::string_view origin) {
  auto facts = inspect_elf(file);
  if (!facts) return facts.refusal();
  if (auto refusal = compare(*facts)) return *refusal;
  for (const LoadedPlugin& other : loaded)
    if (other.id == facts->id)
      return Refusal{file, "id", text("'", facts->id, "', which ", other.file, " has"), "an id of its own"};
  auto library = Library::load(*facts);
  if (!library) return library.refusal();
  Plugin plugin;
  plugin.library = std::move(*library);
  if (auto refusal = register_into(*facts, plugin)) return *refusal;
  LoadedPlugin out = describe(*facts, origin, plugin);

  Registrations& r = registrations;
  append(plugin.additions.families, r.families), append(plugin.additions.ops, r.ops);
  append(plugin.additions.kernels, r.kernels), append(plugin.additions.layouts, r.layouts);
  append(plugin.additions.devices, r.devices), append(plugin.additions.texts, r.texts);
  append(plugin.additions.front_ends, r.front_ends);
  for (const auto& [interface, service] : plugin.additions.services) r.services.emplace_back(interface, service.get());
  if (plugin.program) r.programs.push_back(plugin.program.get());
  plugins.push_back(std::move(plugin));
  return out;
}

PluginHost::PluginHost(PluginHostOptions options) : state_(std::make_shared<State>()) {
  for (const std::string& op : options.built_in_ops) state_->owners.emplace(text("op '", op, "'"), "the host");
  state_->options = std::move(options);
  state_->places = search(state_->options.search);
  for (const SearchedPlace& place : state_->places) {
    if (!place.note.empty() && place.origin != "install folder")
      state_->refused.push_back(
          {place.origin, {place.path, text("a place of ", place.origin), "one that " + place.note, "a folder"}});
    for (const std::string& file : place.files) static_cast<void>(load(file, place.origin));
  }
}
PluginHost::~PluginHost() = default;
PluginHost::PluginHost(PluginHost&&) noexcept = default;
PluginHost& PluginHost::operator=(PluginHost&&) noexcept = default;

Status PluginHost::load(const std::string& file, std::string_view origin) {
  Accepted<LoadedPlugin> plugin = [&]() -> Accepted<LoadedPlugin> {
    try {
      return state_->load(file, origin);
    } catch (const std::exception& e) {  // takes(), id() and their like are the plugin's code
      return Refusal{file, "the plugin", text("one that throws (", e.what(), ")"), "one that does not"};
    }
  }();
  if (plugin) {
    state_->loaded.push_back(std::move(*plugin));
    return {};
  }
  state_->refused.push_back({std::string(origin), plugin.refusal()});
  return plugin.refusal().status();
}

const std::vector<SearchedPlace>& PluginHost::places() const noexcept { return state_->places; }
const std::vector<LoadedPlugin>& PluginHost::loaded() const noexcept { return state_->loaded; }
const std::vector<RefusedPlugin>& PluginHost::refused() const noexcept { return state_->refused; }
const Registrations& PluginHost::registrations() const noexcept { return state_->registrations; }
std::string PluginHost::owner(std::string_view kind, std::string_view id) const {
  const auto at = state_->owners.find(text(kind, " '", id, "'"));
  return at == state_->owners.end() ? std::string() : at->second;
}
std::shared_ptr<const void> PluginHost::keep_alive() const noexcept { return state_; }

}  // namespace tare
