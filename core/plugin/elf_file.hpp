// ElfFile: the headers of a 64-bit ELF shared object, read from the file with every bound checked and nothing mapped or
// run, so that a truncated or hostile file is a sentence and never a signal. [loader]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/plugin/refusal.hpp"

namespace tare {

struct ElfSection {
  std::string name;
  uint32_t type = 0;
  uint64_t address = 0, offset = 0, bytes = 0, entry_bytes = 0;
  uint32_t link = 0;
};
struct ElfSegment {
  uint32_t type = 0, flags = 0;
  uint64_t offset = 0, address = 0, file_bytes = 0, memory_bytes = 0;
};
struct ElfSymbol {
  std::string name;
  uint64_t address = 0, bytes = 0;
  uint16_t section = 0;  // 0: wanted from elsewhere
  uint8_t binding = 0, visibility = 0;
  bool defined() const noexcept { return section != 0; }
};

class ElfFile {
 public:
  // Opens `file` and checks: a regular readable file, this machine's ELF, a shared object; each section and segment
  // lies inside the file; the dynamic table's addresses lie inside loaded segments.
  static Accepted<ElfFile> read(const std::string& file);

  const std::string& file() const noexcept { return file_; }
  const std::vector<ElfSection>& sections() const noexcept { return sections_; }
  const std::vector<ElfSegment>& segments() const noexcept { return segments_; }
  const std::vector<ElfSymbol>& dynamic_symbols() const noexcept { return symbols_; }
  const std::vector<std::string>& needed() const noexcept { return needed_; }        // DT_NEEDED
  const std::vector<std::string>& run_paths() const noexcept { return run_paths_; }  // DT_RPATH, DT_RUNPATH
  bool has_text_relocations() const noexcept { return text_relocations_; }
  bool has_executable_stack() const noexcept { return executable_stack_; }

  const ElfSection* section(std::string_view name) const noexcept;
  // Bytes [begin, begin + bytes) of the file; the range lies inside a section that was checked.
  Accepted<std::string> content(uint64_t begin, uint64_t bytes, std::string_view what) const;

 private:
  friend class ElfReader;
  std::string file_;
  std::vector<ElfSection> sections_;
  std::vector<ElfSegment> segments_;
  std::vector<ElfSymbol> symbols_;
  std::vector<std::string> needed_, run_paths_;
  bool text_relocations_ = false, executable_stack_ = false;
};

}  // namespace tare
