#include "core/plugin/registrar.hpp"

#include <algorithm>

namespace tare {
namespace {

// "name/revision": a revision of digits behind the last '/'.
bool has_revision(std::string_view name) {
  const size_t slash = name.rfind('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < name.size() &&
         name.find_first_not_of("0123456789", slash + 1) == std::string_view::npos;
}
bool is_clean(std::string_view id) {
  return !id.empty() && std::all_of(id.begin(), id.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

void HostRegistrar::refuse(std::string field, std::string found, std::string wanted) {
  if (!mistake_) mistake_ = Refusal{file_, std::move(field), std::move(found), std::move(wanted)};
}

bool HostRegistrar::claim(const char* kind, std::string_view id) {
  if (!is_clean(id)) {
    refuse(text("the id of a ", kind), id.empty() ? "empty" : text("'", id, "'"), "printable characters, no spaces");
    return false;
  }
  std::string key = text(kind, " '", id, "'");
  const auto other = owners_.find(key);
  const bool own = std::find(claims_.begin(), claims_.end(), key) != claims_.end();
  if (other != owners_.end() || own) {
    refuse(std::move(key), other != owners_.end() ? text("registered already by ", other->second) : "registered twice",
           "registered once");
    return false;
  }
  claims_.push_back(std::move(key));
  return true;
}

void HostRegistrar::add_model(ModelFamily family) {
  if (!claim("family", family.id)) return;
  const auto text_entry = std::find_if(family.entries.begin(), family.entries.end(),
                                       [](const Entry& entry) { return entry.name == "text"; });
  if (family.entries.empty())
    return refuse(text("the entry list of family '", family.id, "'"), "empty", "an entry 'text' at least");
  if (text_entry == family.entries.end())
    return refuse(text("the entry 'text' of family '", family.id, "'"), "absent", "present");
  for (const Entry& entry : family.entries)
    if (entry.trace == nullptr)
      return refuse(text("the trace of entry '", entry.name, "' of family '", family.id, "'"), "null", "a function");
  if (family.architectures.empty())
    return refuse(text("the architecture list of family '", family.id, "'"), "empty",
                  "names as in config.json's \"architectures\"");
  for (const std::string& architecture : family.architectures)
    if (!claim("architecture", architecture)) return;
  additions_.families.push_back(std::make_unique<ModelFamily>(std::move(family)));
}

void HostRegistrar::add_op(OpDefinition definition) {
  if (!claim("op", definition.op)) return;
  if (!has_revision(definition.op))
    return refuse("the name of an op", text("'", definition.op, "'"), "'name/revision'");
  if (!definition.infer) return refuse(text("the shape rule of op '", definition.op, "'"), "null", "a function");
  additions_.ops.push_back(std::make_unique<OpDefinition>(std::move(definition)));
}

void HostRegistrar::add_kernel(std::unique_ptr<KernelCandidate> candidate) {
  if (!present("a kernel", candidate) || !claim("kernel", candidate->id())) return;
  if (candidate->device_kind().empty())
    return refuse(text("the device kind of kernel '", candidate->id(), "'"), "empty", "a kind such as 'cpu'");
  const std::vector<std::string> chain = candidate->takes();
  if (chain.empty()) return refuse(text("the op chain of kernel '", candidate->id(), "'"), "empty", "one op at least");
  for (const std::string& op : chain)
    if (!has_revision(op))
      return refuse(text("an op of kernel '", candidate->id(), "'"), text("'", op, "'"), "'name/revision'");
  additions_.kernels.push_back(std::move(candidate));
}

void HostRegistrar::add_layout(std::unique_ptr<Layout> layout) {
  if (!present("a layout", layout) || !claim("layout", layout->id())) return;
  const std::string_view id = layout->id();
  const size_t slash = id.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == id.size())
    return refuse("the id of a layout", text("'", id, "'"), "'code/order'");
  if (layout->row_granule() < 1)
    return refuse(text("the row granule of layout '", id, "'"), text(layout->row_granule()), "1 or more");
  additions_.layouts.push_back(std::move(layout));
}

void HostRegistrar::add_device(std::unique_ptr<DeviceProvider> provider) {
  if (present("a device provider", provider) && claim("device", provider->kind()))
    additions_.devices.push_back(std::move(provider));
}

void HostRegistrar::add_text(std::unique_ptr<TextService> service) {
  if (present("a text service", service) && claim("service", TextService::kInterface))
    additions_.texts.push_back(std::move(service));
}

void HostRegistrar::add_front_end(std::unique_ptr<FrontEndService> service) {
  if (present("a front end", service) && claim("front end", service->name()))
    additions_.front_ends.push_back(std::move(service));
}

void HostRegistrar::add_service(std::string_view interface, std::shared_ptr<void> service) {
  if (!present("a service", service)) return;
  if (!has_revision(interface))
    return refuse("the interface of a service", text("'", interface, "'"), "'name/revision'");
  if (claim("service", interface)) additions_.services.emplace_back(std::string(interface), std::move(service));
}

void* HostRegistrar::query(std::string_view interface) noexcept {
  const auto at = interfaces_.find(interface);
  return at == interfaces_.end() ? nullptr : at->second;
}

}  // namespace tare
