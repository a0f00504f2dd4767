// DescriptorFacts: what a plugin says of itself, read from its file before any of its code runs, and the comparison
// with what this host takes. docs/formats/plugin.md has the layout. [loader]
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/api/plugin.hpp"
#include "core/plugin/elf_file.hpp"
#include "core/plugin/refusal.hpp"

namespace tare {

inline constexpr const char* kDescriptorSymbol = "tare_plugin_v1";
inline constexpr const char* kDescriptorSection = ".tare_plugin";
// The fields in front of the callbacks: the part of a descriptor that a file holds as it is.
inline constexpr size_t kPlainDescriptorBytes = offsetof(PluginDescriptor, register_into);

struct DescriptorFacts {
  std::string file, id, version, build_fingerprint;
  uint32_t struct_bytes = 0, abi_kind = 0, abi_major = 0, abi_minor = 0;
  std::string plain_bytes;  // as they lie in the file: the loaded descriptor must say the same
};

// Reads and bounds-checks the file, finds section and symbol, copies the plain fields. Loads nothing.
Accepted<DescriptorFacts> inspect_elf(const std::string& file);
Accepted<DescriptorFacts> inspect_elf(const ElfFile& elf);

// The first field that this host does not take, or nothing.
std::optional<Refusal> compare(const DescriptorFacts& facts);

}  // namespace tare
