#include "core/plugin/descriptor.hpp"

#include <elf.h>

#include <cstring>
#include <string_view>
#include <utility>

namespace tare {
namespace {

std::string quoted(std::string_view value) { return text("'", value, "'"); }

// Text of a fixed array, or nothing when it is not closed by a NUL inside the array or not printable.
template <size_t N>
std::optional<std::string> field_text(const char (&array)[N]) {
  const void* end = std::memchr(array, '\0', N);
  if (end == nullptr) return std::nullopt;
  std::string out(array, static_cast<const char*>(end));
  for (unsigned char c : out)
    if (c < 0x20 || c > 0x7e) return std::nullopt;
  return out;
}

bool is_id(std::string_view id) {
  if (id.empty()) return false;
  for (char c : id)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
          c == '-'))
      return false;
  return true;
}

}  // namespace

Accepted<DescriptorFacts> inspect_elf(const std::string& file) {
  auto elf = ElfFile::read(file);
  if (!elf) return elf.refusal();
  return inspect_elf(*elf);
}

Accepted<DescriptorFacts> inspect_elf(const ElfFile& elf) {
  const std::string& file = elf.file();
  const ElfSection* section = elf.section(kDescriptorSection);
  if (section == nullptr)
    return Refusal{file, "the section .tare_plugin", "absent (this is no Tare plugin)", "present"};
  if (section->type != SHT_PROGBITS)
    return Refusal{file, "the type of section .tare_plugin", text(section->type),
                   text(SHT_PROGBITS, " (file content)")};
  const ElfSymbol* symbol = nullptr;
  for (const ElfSymbol& s : elf.dynamic_symbols())
    if (s.defined() && s.name == kDescriptorSymbol) symbol = &s;
  if (symbol == nullptr)
    return Refusal{file, "the symbol tare_plugin_v1", "absent", "exported from section .tare_plugin"};
  const uint64_t at = symbol->address - section->address;
  if (symbol->address < section->address || at > section->bytes || kPlainDescriptorBytes > section->bytes - at)
    return Refusal{file, "the symbol tare_plugin_v1", text("at address ", symbol->address),
                   text("the address of ", kPlainDescriptorBytes, " bytes inside section .tare_plugin (",
                        section->address, " to ", section->address + section->bytes, ")")};
  auto content = elf.content(section->offset + at, kPlainDescriptorBytes, "the descriptor");
  if (!content) return content.refusal();

  PluginDescriptor raw{};
  std::memcpy(&raw, content->data(), kPlainDescriptorBytes);
  if (std::memcmp(raw.magic, "TAREPLUG", 8) != 0)
    return Refusal{file, "the descriptor's magic", "something else", "'TAREPLUG'"};
  DescriptorFacts facts;
  facts.file = file;
  facts.struct_bytes = raw.struct_bytes, facts.abi_kind = raw.abi_kind;
  facts.abi_major = raw.abi_major, facts.abi_minor = raw.abi_minor;
  const auto take = [&](std::string_view field, std::optional<std::string> value, std::string& to) {
    if (value) to = std::move(*value);
    return value ? std::nullopt
                 : std::optional(Refusal{file, text("the descriptor's ", field), "unterminated or unprintable",
                                         "printable ASCII closed by a NUL"});
  };
  if (auto r = take("build_fingerprint", field_text(raw.build_fingerprint), facts.build_fingerprint)) return *r;
  if (auto r = take("id", field_text(raw.id), facts.id)) return *r;
  if (auto r = take("version", field_text(raw.version), facts.version)) return *r;
  facts.plain_bytes = std::move(*content);
  return facts;
}

std::optional<Refusal> compare(const DescriptorFacts& facts) {
  const auto refuse = [&](const char* field, std::string found, std::string wanted) {
    return std::optional(Refusal{facts.file, field, std::move(found), std::move(wanted)});
  };
  if (facts.abi_kind != kCppExact && facts.abi_kind != kCProgram)
    return refuse("abi_kind", text(facts.abi_kind), text(kCppExact, " (C++) or ", kCProgram, " (C program)"));
  if (facts.abi_major != kAbiMajor) return refuse("abi_major", text(facts.abi_major), text(kAbiMajor));
  if (facts.abi_minor > kAbiMinor) return refuse("abi_minor", text(facts.abi_minor), text("at most ", kAbiMinor));
  // C++ objects cross between equals only. A C descriptor may have grown at its end.
  if (facts.abi_kind == kCppExact && facts.struct_bytes != sizeof(PluginDescriptor))
    return refuse("struct_bytes", text(facts.struct_bytes), text(sizeof(PluginDescriptor)));
  if (facts.abi_kind == kCProgram && facts.struct_bytes < sizeof(PluginDescriptor))
    return refuse("struct_bytes", text(facts.struct_bytes), text("at least ", sizeof(PluginDescriptor)));
  if (facts.abi_kind == kCppExact && facts.build_fingerprint != kBuildFingerprint)
    return refuse("build_fingerprint", quoted(facts.build_fingerprint), quoted(kBuildFingerprint));
  if (!is_id(facts.id)) return refuse("id", quoted(facts.id), "a name of letters, digits, '.', '_' and '-'");
  if (facts.version.empty()) return refuse("version", "empty", "a version such as '1.0.0'");
  return std::nullopt;
}

}  // namespace tare
