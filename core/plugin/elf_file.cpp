#include "core/plugin/elf_file.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace tare {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
#error "name this machine's ELF e_machine here"
#endif

std::string machine_name(uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86-64";
    case EM_AARCH64:
      return "aarch64";
    case EM_386:
      return "i386";
    case EM_ARM:
      return "arm";
    case EM_RISCV:
      return "riscv";
    case EM_PPC64:
      return "ppc64";
    case EM_S390:
      return "s390";
    default:
      return text("ELF machine ", machine);
  }
}

// A name out of a string table, or nothing when it is not terminated inside the table.
std::optional<std::string> string_at(const std::string& table, uint64_t offset) {
  if (offset >= table.size()) return std::nullopt;
  const size_t end = table.find('\0', offset);
  if (end == std::string::npos) return std::nullopt;
  return table.substr(offset, end - offset);
}

struct Descriptor {
  int fd = -1;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

struct Open {
  Descriptor descriptor;
  uint64_t bytes = 0;
};

// O_NONBLOCK: a fifo named x.so must not hang the host.
std::optional<Refusal> open_file(const std::string& file, Open& out) {
  out.descriptor.fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (out.descriptor.fd < 0)
    return Refusal{file, "the file", text("not to be opened (", std::strerror(errno), ")"), "a readable file"};
  struct stat facts {};
  if (fstat(out.descriptor.fd, &facts) != 0)
    return Refusal{file, "the file", text("not to be examined (", std::strerror(errno), ")"), "a readable file"};
  if (!S_ISREG(facts.st_mode))
    return Refusal{file, "the file", S_ISDIR(facts.st_mode) ? "a directory" : "a device, socket or pipe",
                   "a regular file"};
  out.bytes = static_cast<uint64_t>(facts.st_size);
  return std::nullopt;
}

}  // namespace

class ElfReader {
 public:
  explicit ElfReader(const std::string& file) { elf_.file_ = file; }

  Accepted<ElfFile> run() {
    using Step = bool (ElfReader::*)();
    if (auto refusal = open_file(elf_.file_, open_)) return std::move(*refusal);
    for (Step step : {&ElfReader::read_header, &ElfReader::read_segments, &ElfReader::read_sections,
                      &ElfReader::read_dynamic, &ElfReader::read_symbols})
      if (!(this->*step)()) return std::move(refusal_);
    return std::move(elf_);
  }

 private:
  bool refuse(std::string field, std::string found, std::string wanted) {
    refusal_ = {elf_.file_, std::move(field), std::move(found), std::move(wanted)};
    return false;
  }
  bool inside(uint64_t begin, uint64_t bytes) const { return begin <= open_.bytes && bytes <= open_.bytes - begin; }
  bool check_inside(std::string field, uint64_t begin, uint64_t bytes) {
    if (inside(begin, bytes)) return true;
    return refuse(std::move(field), text("at byte ", begin, " with ", bytes, " bytes"),
                  text("a place inside the file's ", open_.bytes, " bytes"));
  }
  bool get(std::string field, uint64_t begin, void* to, uint64_t bytes) {
    if (!check_inside(field, begin, bytes)) return false;
    uint64_t done = 0;
    while (done < bytes) {
      const ssize_t n =
          pread(open_.descriptor.fd, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(begin + done));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        return refuse(std::move(field), text("unreadable (", n < 0 ? std::strerror(errno) : "end of file", ")"),
                      text(bytes, " bytes at byte ", begin));
      done += static_cast<uint64_t>(n);
    }
    return true;
  }
  bool get_table(const std::string& field, uint64_t begin, uint64_t bytes, std::string& to) {
    if (!check_inside(field, begin, bytes)) return false;
    to.resize(bytes);
    return get(field, begin, to.data(), bytes);
  }

  bool read_header() {
    if (open_.bytes < sizeof header_)
      return refuse("the file's length", text(open_.bytes, " bytes"),
                    text("at least the ", sizeof header_, " bytes of an ELF header"));
    if (!get("the ELF header", 0, &header_, sizeof header_)) return false;
    if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0)
      return refuse("the ELF magic number", "absent (this is no shared object)", "\\x7fELF");
    if (header_.e_ident[EI_CLASS] != ELFCLASS64)
      return refuse("the ELF class", header_.e_ident[EI_CLASS] == ELFCLASS32 ? "32-bit" : "unknown", "64-bit");
    if (header_.e_ident[EI_DATA] != ELFDATA2LSB)
      return refuse("the byte order", header_.e_ident[EI_DATA] == ELFDATA2MSB ? "big-endian" : "unknown",
                    "little-endian");
    if (header_.e_machine != kMachine)
      return refuse("the machine", machine_name(header_.e_machine), machine_name(kMachine));
    if (header_.e_ident[EI_VERSION] != EV_CURRENT || header_.e_version != EV_CURRENT)
      return refuse("the ELF version", text(header_.e_version), text(EV_CURRENT));
    if (header_.e_type != ET_DYN) return refuse("the ELF type", text(header_.e_type), "3 (a shared object)");
    if (header_.e_phentsize != sizeof(Elf64_Phdr))
      return refuse("the size of a program header", text(header_.e_phentsize), text(sizeof(Elf64_Phdr)));
    if (header_.e_shentsize != sizeof(Elf64_Shdr))
      return refuse("the size of a section header", text(header_.e_shentsize), text(sizeof(Elf64_Shdr)));
    if (header_.e_phnum == 0 || header_.e_phnum == PN_XNUM)
      return refuse("the number of segments", text(header_.e_phnum), "1 to 65534");
    if (header_.e_shnum == 0 || header_.e_shstrndx >= header_.e_shnum)
      return refuse("the number of sections", text(header_.e_shnum),
                    text("more than the name table's index ", header_.e_shstrndx));
    return true;
  }

  bool read_segments() {
    std::vector<Elf64_Phdr> raw(header_.e_phnum);
    if (!get("the program header table", header_.e_phoff, raw.data(), raw.size() * sizeof raw[0])) return false;
    uint64_t last_end = 0;
    for (size_t i = 0; i < raw.size(); ++i) {
      const Elf64_Phdr& p = raw[i];
      if (!check_inside(text("segment ", i), p.p_offset, p.p_filesz)) return false;
      if (p.p_vaddr > kAddressLimit || p.p_memsz > kAddressLimit)
        return refuse(text("segment ", i), text("at address ", p.p_vaddr, " with ", p.p_memsz, " bytes of memory"),
                      "at most 2^40 of each");
      if (p.p_type == PT_LOAD) {
        if (p.p_memsz < p.p_filesz)
          return refuse(text("segment ", i), text(p.p_memsz, " bytes in memory"),
                        text("at least its ", p.p_filesz, " bytes in the file"));
        if (p.p_vaddr < last_end)
          return refuse(text("segment ", i), text("at address ", p.p_vaddr),
                        text("an address behind the segment before it, which ends at ", last_end));
        last_end = p.p_vaddr + p.p_memsz;
      }
      if (p.p_type == PT_GNU_STACK) elf_.executable_stack_ = (p.p_flags & PF_X) != 0;
      elf_.segments_.push_back({p.p_type, p.p_flags, p.p_offset, p.p_vaddr, p.p_filesz, p.p_memsz});
    }
    if (last_end == 0) return refuse("the number of loaded segments", "0", "at least 1");
    return true;
  }

  bool read_sections() {
    std::vector<Elf64_Shdr> raw(header_.e_shnum);
    if (!get("the section header table", header_.e_shoff, raw.data(), raw.size() * sizeof raw[0])) return false;
    for (size_t i = 0; i < raw.size(); ++i)
      if (raw[i].sh_type != SHT_NOBITS && raw[i].sh_type != SHT_NULL &&
          !check_inside(text("section ", i), raw[i].sh_offset, raw[i].sh_size))
        return false;
    const Elf64_Shdr& names_header = raw[header_.e_shstrndx];
    if (names_header.sh_type != SHT_STRTAB)
      return refuse("the section name table's type", text(names_header.sh_type), text(SHT_STRTAB));
    std::string names;
    if (!get_table("the section name table", names_header.sh_offset, names_header.sh_size, names)) return false;
    for (size_t i = 0; i < raw.size(); ++i) {
      const Elf64_Shdr& s = raw[i];
      auto name = string_at(names, s.sh_name);
      if (!name)
        return refuse(text("the name of section ", i), text("at ", s.sh_name),
                      text("a place inside the name table's ", names.size(), " bytes"));
      elf_.sections_.push_back(
          {std::move(*name), s.sh_type, s.sh_addr, s.sh_offset, s.sh_size, s.sh_entsize, s.sh_link});
    }
    return true;
  }

  // Where a loaded address lies in the file, when all `bytes` of it do.
  std::optional<uint64_t> file_offset(uint64_t address, uint64_t bytes) const {
    for (const ElfSegment& s : elf_.segments_)
      if (s.type == PT_LOAD && address >= s.address && address - s.address <= s.file_bytes &&
          bytes <= s.file_bytes - (address - s.address))
        return s.offset + (address - s.address);
    return std::nullopt;
  }

  bool read_dynamic() {
    const ElfSegment* dynamic = nullptr;
    for (const ElfSegment& s : elf_.segments_)
      if (s.type == PT_DYNAMIC) dynamic = &s;
    if (dynamic == nullptr) return refuse("the dynamic segment", "absent", "present");
    std::vector<Elf64_Dyn> entries(dynamic->file_bytes / sizeof(Elf64_Dyn));
    if (!get("the dynamic table", dynamic->offset, entries.data(), entries.size() * sizeof(Elf64_Dyn))) return false;
    if (file_offset(dynamic->address, dynamic->file_bytes) != dynamic->offset)
      return refuse("the dynamic segment", "outside the loaded segments", "inside one of them");
    std::optional<uint64_t> strings_address;
    uint64_t strings_bytes = 0;
    std::vector<uint64_t> needed, run_paths;
    bool ended = false;
    for (const Elf64_Dyn& d : entries) {
      if (d.d_tag == DT_NULL) {
        ended = true;
        break;
      }
      switch (d.d_tag) {
        case DT_STRTAB:
          strings_address = d.d_un.d_ptr;
          [[fallthrough]];
        case DT_SYMTAB:
        case DT_HASH:
        case DT_GNU_HASH:
        case DT_RELA:
        case DT_JMPREL:
        case DT_RELR_TAG:
        case DT_VERSYM:
        case DT_VERNEED:
        case DT_VERDEF:
          if (!file_offset(d.d_un.d_ptr, 1))
            return refuse(text("dynamic entry ", d.d_tag), text("at address ", d.d_un.d_ptr),
                          "an address inside a loaded segment");
          break;
        case DT_STRSZ:
          strings_bytes = d.d_un.d_val;
          break;
        case DT_NEEDED:
          needed.push_back(d.d_un.d_val);
          break;
        case DT_RPATH:
        case DT_RUNPATH:
          run_paths.push_back(d.d_un.d_val);
          break;
        case DT_TEXTREL:
          elf_.text_relocations_ = true;
          break;
        case DT_FLAGS:
          elf_.text_relocations_ |= (d.d_un.d_val & DF_TEXTREL) != 0;
          break;
        default:
          break;
      }
    }
    if (!ended) return refuse("the dynamic table", "without an end", "closed by a null entry");
    if (!strings_address) return refuse("the dynamic string table", "absent", "present");
    const auto strings_offset = file_offset(*strings_address, strings_bytes);
    if (!strings_offset)
      return refuse("the dynamic string table",
                    text("at address ", *strings_address, " with ", strings_bytes, " bytes"),
                    "a place inside a loaded segment");
    std::string strings;
    if (!get_table("the dynamic string table", *strings_offset, strings_bytes, strings)) return false;
    const auto take = [&](const std::vector<uint64_t>& offsets, std::vector<std::string>& to) {
      for (uint64_t offset : offsets) {
        auto name = string_at(strings, offset);
        if (!name)
          return refuse("a name in the dynamic table", text("at ", offset),
                        text("a place inside the string table's ", strings.size(), " bytes"));
        to.push_back(std::move(*name));
      }
      return true;
    };
    return take(needed, elf_.needed_) && take(run_paths, elf_.run_paths_);
  }

  bool read_symbols() {
    const ElfSection* table = nullptr;
    for (const ElfSection& s : elf_.sections_)
      if (s.type == SHT_DYNSYM) table = &s;
    if (table == nullptr) return refuse("the dynamic symbol table", "absent", "present");
    if (table->entry_bytes != sizeof(Elf64_Sym) || table->link >= elf_.sections_.size())
      return refuse("the size of a symbol", text(table->entry_bytes), text(sizeof(Elf64_Sym)));
    const ElfSection& names_section = elf_.sections_[table->link];
    if (names_section.type != SHT_STRTAB)
      return refuse("the symbol name table's type", text(names_section.type), text(SHT_STRTAB));
    std::vector<Elf64_Sym> raw(table->bytes / sizeof(Elf64_Sym));
    if (!get("the dynamic symbol table", table->offset, raw.data(), raw.size() * sizeof(Elf64_Sym))) return false;
    std::string names;
    if (!get_table("the symbol name table", names_section.offset, names_section.bytes, names)) return false;
    for (size_t i = 1; i < raw.size(); ++i) {
      auto name = string_at(names, raw[i].st_name);
      if (!name)
        return refuse(text("the name of symbol ", i), text("at ", raw[i].st_name),
                      text("a place inside the name table's ", names.size(), " bytes"));
      elf_.symbols_.push_back({std::move(*name), raw[i].st_value, raw[i].st_size, raw[i].st_shndx,
                               static_cast<uint8_t>(ELF64_ST_BIND(raw[i].st_info)),
                               static_cast<uint8_t>(ELF64_ST_VISIBILITY(raw[i].st_other))});
    }
    return true;
  }

  static constexpr uint64_t kAddressLimit = uint64_t{1} << 40;
  static constexpr int64_t DT_RELR_TAG = 36;  // DT_RELR, which older elf.h do not have
  Open open_;
  Elf64_Ehdr header_{};
  ElfFile elf_;
  Refusal refusal_;
};

Accepted<ElfFile> ElfFile::read(const std::string& file) { return ElfReader(file).run(); }

const ElfSection* ElfFile::section(std::string_view name) const noexcept {
  for (const ElfSection& s : sections_)
    if (s.name == name) return &s;
  return nullptr;
}

Accepted<std::string> ElfFile::content(uint64_t begin, uint64_t bytes, std::string_view what) const {
  Open open;
  if (auto refusal = open_file(file_, open)) return std::move(*refusal);
  if (begin > open.bytes || bytes > open.bytes - begin)
    return Refusal{file_, std::string(what), text("at byte ", begin, " with ", bytes, " bytes"),
                   text("a place inside the file's ", open.bytes, " bytes")};
  std::string out(bytes, '\0');
  if (pread(open.descriptor.fd, out.data(), bytes, static_cast<off_t>(begin)) != static_cast<ssize_t>(bytes))
    return Refusal{file_, std::string(what), "unreadable", text(bytes, " bytes at byte ", begin)};
  return out;
}

}  // namespace tare
