// Files that must be refused before a byte of them is loaded, each in one sentence that names file, field, found and
// wanted, while a good plugin beside them still loads.
#include <doctest/doctest.h>
#include <elf.h>
#include <sys/stat.h>

#include "core/plugin/descriptor.hpp"
#include "tests/validator/support.hpp"

using namespace tare;
using namespace tare::test;

namespace {

struct BadFile {
  std::string name, content;
  std::vector<std::string> parts;  // field, found, wanted
};

// The file beside a good plugin: the good one loads, the other one is a sentence.
void check_refused(const BadFile& bad) {
  CAPTURE(bad.name);
  Folder folder;
  folder.copy("other", "good_neighbour");
  const std::string file = folder.write(bad.name + ".so", bad.content);
  const PluginHost host = host_of(folder.path());
  CHECK(host.loaded().size() == 1);
  REQUIRE(host.refused().size() == 1);
  const std::string sentence = host.refused()[0].sentence();
  CAPTURE(sentence);
  CHECK(one_line(sentence));
  CHECK(sentence.starts_with(file + ": "));
  CHECK(contains(sentence, " is "));
  CHECK(contains(sentence, ", expected "));
  for (const std::string& part : bad.parts) CHECK_MESSAGE(contains(sentence, part), part);
}

const std::string& good() {
  static const std::string content = read_file(plugin_file("good"));
  return content;
}
Elf64_Ehdr header() {
  Elf64_Ehdr out;
  std::memcpy(&out, good().data(), sizeof out);
  return out;
}
size_t descriptor_at(const std::string& content) {
  size_t found = std::string::npos, count = 0;
  for (size_t at = content.find("TAREPLUG"); at != std::string::npos; at = content.find("TAREPLUG", at + 1))
    if (content.compare(at + offsetof(PluginDescriptor, build_fingerprint), 4, "api=") == 0) found = at, ++count;
  REQUIRE(count == 1);
  return found;
}
template <class T>
BadFile descriptor_field(const char* name, size_t offset, T value, std::vector<std::string> parts) {
  return {name, patched(good(), descriptor_at(good()) + offset, value), std::move(parts)};
}
template <class T>
BadFile header_field(const char* name, size_t offset, T value, std::vector<std::string> parts) {
  return {name, patched(good(), offset, value), std::move(parts)};
}

}  // namespace

TEST_CASE("a descriptor of another ABI or build") {
  using D = PluginDescriptor;
  check_refused(descriptor_field("abi_major", offsetof(D, abi_major), uint32_t{2}, {"abi_major is 2, expected 1"}));
  check_refused(descriptor_field("abi_minor", offsetof(D, abi_minor), uint32_t{7}, {"abi_minor is 7", "at most 0"}));
  check_refused(descriptor_field("abi_kind", offsetof(D, abi_kind), uint32_t{9}, {"abi_kind is 9", "1 (C++)"}));
  check_refused(
      descriptor_field("struct_bytes", offsetof(D, struct_bytes), uint32_t{64}, {"struct_bytes is 64", "256"}));
  check_refused(descriptor_field("magic", offsetof(D, magic), 'X', {"magic", "'TAREPLUG'"}));
  std::string other(kBuildFingerprint);
  other[4] = other[4] == '0' ? '1' : '0';
  std::string content = good();
  content.replace(descriptor_at(content) + offsetof(D, build_fingerprint), other.size(), other);
  check_refused(
      {"fingerprint", content, {"build_fingerprint is '" + other + "'", "'" + std::string(kBuildFingerprint) + "'"}});
  content = good();
  content.replace(descriptor_at(content) + offsetof(D, id), sizeof D::id, sizeof D::id, 'x');
  check_refused({"endless_id", content, {"the descriptor's id is unterminated"}});
  content = good();
  content.replace(descriptor_at(content) + offsetof(D, id), 4, "a/b ");
  check_refused({"odd_id", content, {"id is 'a/b test.good'"}});
}

TEST_CASE("no descriptor at all") {
  check_refused({"missing_symbol", read_file(plugin_file("missing_symbol")), {"the symbol tare_plugin_v1 is absent"}});
  check_refused({"library", read_file(plugin_file("no_descriptor")), {"section .tare_plugin is absent"}});
  check_refused({"text", "#!/bin/sh\n" + std::string(200, '#'), {"the ELF magic number"}});
  check_refused({"short_text", "hello\n", {"the file's length is 6 bytes", "at least the 64 bytes"}});
  check_refused({"empty", "", {"the file's length is 0 bytes"}});
}

TEST_CASE("truncated at every tenth of its length, and at its last byte") {
  for (size_t tenth = 0; tenth < 10; ++tenth)
    check_refused({"tenth_" + std::to_string(tenth), good().substr(0, good().size() * tenth / 10), {}});
  check_refused({"last_byte", good().substr(0, good().size() - 1), {"section header table"}});
}

TEST_CASE("another architecture's ELF") {
  using H = Elf64_Ehdr;
  const uint16_t other = header().e_machine == EM_X86_64 ? EM_AARCH64 : EM_X86_64;
  const std::string name = other == EM_AARCH64 ? "aarch64" : "x86-64";
  check_refused(header_field("machine", offsetof(H, e_machine), other, {"the machine is " + name}));
  check_refused(header_field("elf32", EI_CLASS, uint8_t{ELFCLASS32}, {"the ELF class is 32-bit, expected 64-bit"}));
  check_refused(header_field("big_endian", EI_DATA, uint8_t{ELFDATA2MSB}, {"the byte order is big-endian"}));
  check_refused(header_field("program", offsetof(H, e_type), uint16_t{ET_EXEC}, {"the ELF type is 2"}));
}

TEST_CASE("headers that point past the end or contradict themselves") {
  using H = Elf64_Ehdr;
  const Elf64_Ehdr h = header();
  check_refused(header_field("shoff", offsetof(H, e_shoff), ~uint64_t{0} - 8, {"the section header table is at byte"}));
  check_refused(
      header_field("phoff", offsetof(H, e_phoff), uint64_t{1} << 40, {"the program header table is at byte"}));
  check_refused(header_field("shnum", offsetof(H, e_shnum), uint16_t{0xfff0}, {"the section header table"}));
  check_refused(header_field("shstrndx", offsetof(H, e_shstrndx), uint16_t{0xffff}, {"the number of sections"}));
  check_refused(header_field("phnum", offsetof(H, e_phnum), uint16_t{0}, {"the number of segments is 0"}));
  for (size_t i = 1; i < h.e_shnum; ++i) {
    const size_t at = h.e_shoff + i * sizeof(Elf64_Shdr);
    Elf64_Shdr section;
    std::memcpy(&section, good().data() + at, sizeof section);
    if (section.sh_type == SHT_NOBITS) continue;
    check_refused({"section_offset",
                   patched(good(), at + offsetof(Elf64_Shdr, sh_offset), uint64_t{good().size()} + 1),
                   {text("section ", i, " is at byte")}});
    if (section.sh_size != 0)
      check_refused({"section_size",
                     patched(good(), at + offsetof(Elf64_Shdr, sh_size), ~uint64_t{0}),
                     {text("section ", i, " is at byte"), "inside the file's"}});
  }
  for (size_t i = 0; i < h.e_phnum; ++i) {
    const size_t at = h.e_phoff + i * sizeof(Elf64_Phdr);
    check_refused({"segment",
                   patched(good(), at + offsetof(Elf64_Phdr, p_filesz), ~uint64_t{0} >> 1),
                   {text("segment ", i, " is at byte")}});
  }
}

TEST_CASE("things that are no files") {
  Folder folder;
  folder.copy("other", "good_neighbour");
  std::filesystem::create_directory(folder.file("directory.so"));
  REQUIRE(mkfifo(folder.file("fifo.so").c_str(), 0600) == 0);  // opening it must not wait for a writer
  std::filesystem::create_symlink("/no/such/file", folder.file("link.so"));
  const PluginHost host = host_of(folder.path());
  CHECK(host.loaded().size() == 1);
  REQUIRE(host.refused().size() == 3);
  CHECK(host.refused()[0].sentence() ==
        folder.file("directory.so") + ": the file is a directory, expected a regular file");
  CHECK(contains(host.refused()[1].sentence(), "a device, socket or pipe, expected a regular file"));
  CHECK(contains(host.refused()[2].sentence(), "(No such file or directory), expected a readable file"));
}

TEST_CASE("a file that may not be read") {
  Folder folder;
  folder.copy("other", "good_neighbour");
  const std::string file = folder.copy("good");
  std::filesystem::permissions(folder.path(), std::filesystem::perms{0755});
  REQUIRE(chmod(file.c_str(), 0) == 0);
  const bool root = geteuid() == 0;  // root reads everything: be nobody for a moment
  if (root) REQUIRE(seteuid(65534) == 0);
  const PluginHost host = host_of(folder.path());
  if (root) REQUIRE(seteuid(0) == 0);
  CHECK(host.loaded().size() == 1);
  REQUIRE(host.refused().size() == 1);
  CHECK(host.refused()[0].sentence() ==
        file + ": the file is not to be opened (Permission denied), expected a readable file");
}

TEST_CASE(
    "a byte changed anywhere in the headers and the descriptor is a sentence or a working plugin, never a crash") {
  // Inspection only: what the dynamic loader makes of sections that it does not read is not the question here.
  const Elf64_Ehdr h = header();
  Folder folder;
  size_t refused = 0;
  const auto flip = [&](size_t begin, size_t bytes) {
    for (size_t at = begin; at < begin + bytes; ++at) {
      const std::string file = folder.write("flipped.so", patched(good(), at, static_cast<char>(good()[at] ^ 0xff)));
      const auto facts = inspect_elf(file);
      if (facts) continue;
      ++refused;
      CHECK(one_line(facts.refusal().sentence()));
    }
  };
  flip(0, sizeof(Elf64_Ehdr));
  flip(h.e_phoff, h.e_phnum * sizeof(Elf64_Phdr));
  flip(descriptor_at(good()), 24);
  CHECK(refused > 100);
}
