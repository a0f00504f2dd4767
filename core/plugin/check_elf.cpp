// What the file alone says: exports, relocations, libraries, run paths.
#include <elf.h>

#include <algorithm>
#include <array>

#include "core/plugin/check_parts.hpp"
#include "core/plugin/descriptor.hpp"

namespace tare {
namespace {

// The C and C++ run times and what compilers add; everything else a plugin's users must have.
constexpr std::array<std::string_view, 12> kUsualLibraries{
    "libc.so.6",   "libm.so.6",     "libstdc++.so.6",       "libgcc_s.so.1",         "libpthread.so.0",
    "libdl.so.2",  "librt.so.1",    "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1", "libatomic.so.1",
    "libc++.so.1", "libc++abi.so.1"};

std::string list(const std::vector<std::string>& names, size_t most) {
  std::string out;
  for (size_t i = 0; i < names.size() && i < most; ++i) out += (i != 0 ? ", " : "") + names[i];
  return names.size() > most ? out + text(" and ", names.size() - most, " more") : out;
}

}  // namespace

void check_elf(const ElfFile& elf, CheckSink& sink) {
  std::vector<std::string> exports;
  for (const ElfSymbol& symbol : elf.dynamic_symbols())
    if (symbol.defined() && symbol.binding != STB_LOCAL && symbol.visibility != STV_HIDDEN &&
        symbol.visibility != STV_INTERNAL && symbol.name != kDescriptorSymbol)
      exports.push_back(symbol.name);
  if (exports.empty())
    sink.ok("exports", "tare_plugin_v1 and nothing else");
  else
    sink.warning("exports", text(exports.size(), " symbols beside tare_plugin_v1 (", list(exports, 3),
                                 "), expected none: link with the version script plugin.version"));
  if (elf.has_text_relocations())
    sink.failed("text relocations", "DT_TEXTREL is set, expected position-independent code (-fPIC)");
  else
    sink.ok("text relocations", "none");
  std::vector<std::string> unusual;
  for (const std::string& name : elf.needed())
    if (std::find(kUsualLibraries.begin(), kUsualLibraries.end(), name) == kUsualLibraries.end() &&
        name.find("libasan") != 0 && name.find("libubsan") != 0 && name.find("libtsan") != 0)
      unusual.push_back(name);
  if (unusual.empty())
    sink.ok("libraries", text("needs ", list(elf.needed(), 8)));
  else
    sink.warning("libraries", text("needs ", list(unusual, 8), ": every user of the plugin must have them"));
  if (elf.has_executable_stack()) sink.failed("stack", "an executable stack is asked for, expected none");
  for (const std::string& path : elf.run_paths())
    if (path.find("$ORIGIN") != 0)
      sink.warning("run path", text("'", path, "' is a place of the machine that built it, expected $ORIGIN or none"));
}

}  // namespace tare
