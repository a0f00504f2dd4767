#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/base/file.hpp"
#include "core/base/log.hpp"
#include "core/base/nearest.hpp"
#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/base/sha256.hpp"

namespace {

using namespace tare;

struct Folder {
  std::string path = "/tmp/tare-base-XXXXXX";
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
};

TEST_CASE("A file is read up to its limit and named in messages") {
  Folder folder;
  const std::string path = folder.path + "/a";
  std::ofstream(path) << "hello";
  CHECK(*read_file(path, 5) == "hello");
  CHECK(read_file(path, 4).status().message() == path + ": has 5 bytes, at most 4 are accepted");
  CHECK(read_file(path + "x", 4).status().code() == Code::not_found);
  CHECK(read_file(folder.path, 4).status().message() == folder.path + ": is a folder, expected a file");
  CHECK(read_file(std::string("/etc/passwd\0x", 13), 4).status().message() == "the path has a NUL byte in it");
  REQUIRE(::mkfifo((folder.path + "/pipe").c_str(), 0600) == 0);
  CHECK(read_file(folder.path + "/pipe", 4).status().message() == folder.path + "/pipe: is not a regular file");
}

TEST_CASE("A file that is cut while it is open gives a status") {
  Folder folder;
  const std::string path = folder.path + "/a";
  std::ofstream(path) << std::string(100, 'x');
  const auto file = File::open(path);
  REQUIRE(file.ok());
  std::filesystem::resize_file(path, 40);
  std::string out(50, ' ');
  const Status status = (*file)->read(20, std::as_writable_bytes(std::span(out)));
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message() ==
        path + ": ends at byte 40, expected 30 bytes more (the file had 100 bytes when it was opened)");
  CHECK((*file)->read(0, std::as_writable_bytes(std::span(out).first(40))).ok());
}

TEST_CASE("Atomic writing replaces the whole file, keeps its rights, leaves nothing beside it") {
  Folder folder;
  const std::string path = folder.path + "/a";
  REQUIRE(write_file_atomically(path, "one").ok());
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  REQUIRE(write_file_atomically(path, "second").ok());
  CHECK(*read_file(path, 10) == "second");
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0640);
  CHECK(write_file_atomically(folder.path + "/none/a", "x").code() == Code::not_found);
  REQUIRE(::mkdir((folder.path + "/d").c_str(), 0700) == 0);
  CHECK_FALSE(write_file_atomically(folder.path + "/d", "x").ok());  // rename onto a folder
  int files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path)) ++files;
  CHECK(files == 2);
}

TEST_CASE("Paths") {
  CHECK(join_path("a/", "b") == "a/b");
  CHECK(join_path(".", "b") == "b");
  CHECK(join_path("a", "/b") == "/b");
  CHECK(file_name("a/b/") == "b");
  CHECK(folder_name("a/b/") == "a");
  CHECK(folder_name("b") == ".");
  CHECK(folder_name("/b") == "/");
}

TEST_CASE("The nearest name") {
  const std::vector<std::string> names = {"listen", "max_body", "api_keys_file"};
  CHECK(edit_distance("lisetn", "listen") == 1);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(nearest_name("lissten", names) == "listen");
  CHECK(nearest_name("maxbody", names) == "max_body");
  CHECK(nearest_name("zzz", names).empty());
  CHECK(nearest_name("x", {}).empty());
}

TEST_CASE("Text of any origin fits one line") {
  CHECK(printable("a\nb\x1b[31m\t\xff z\xc3\xa9") == "a\\nb\\u001b[31m\\t\xef\xbf\xbd z\xc3\xa9");
  CHECK(printable("abcdef", 3) == "abc...");
  CHECK(printable("\xed\xa0\x80") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate is no character
  CHECK(json_string("a\"\\\n") == "\"a\\\"\\\\\\n\"");
}

TEST_CASE("SHA-256 of bytes and of a file") {
  constexpr std::string_view kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(sha256(std::as_bytes(std::span("abc", 3))) == kAbc);
  Folder folder;
  std::ofstream(folder.path + "/a") << "abc";
  CHECK(*sha256_of_file(folder.path + "/a") == kAbc);
  CHECK_FALSE(sha256_of_file(folder.path + "/b").ok());
}

TEST_CASE("The log writes one line a message, text or JSON, above its level") {
  Folder folder;
  for (const LogFormat format : {LogFormat::text, LogFormat::json}) {
    const std::string path = folder.path + (format == LogFormat::json ? "/json" : "/text");
    auto log = make_log({.level = LogLevel::info, .format = format, .file = path});
    REQUIRE(log.ok());
    (*log)->debug("unseen");
    (*log)->warning("two\nlines \"quoted\" {} %v");
  }
  const std::string text_line = *read_file(folder.path + "/text", 1000);
  CHECK(text_line.ends_with(" warning two\\nlines \"quoted\" {} %v\n"));
  CHECK(std::count(text_line.begin(), text_line.end(), '\n') == 1);
  const std::string json_line = *read_file(folder.path + "/json", 1000);
  CHECK(json_line.starts_with("{\"time\": \"20"));
  CHECK(json_line.ends_with(R"("level": "warning", "message": "two\nlines \"quoted\" {} %v"})"
                            "\n"));
}

TEST_CASE("Figures for people") {
  CHECK(human_bytes(512) == "512 B");
  CHECK(human_bytes(1536) == "1.5 KiB");
  CHECK(human_bytes(int64_t{5} << 30) == "5.0 GiB");
  CHECK(human_bytes((1 << 20) - 1) == "1.0 MiB");
  CHECK(human_duration(3723) == "1:02:03");
  CHECK(human_duration(7.2) == "0:07");
  CHECK(progress_line("loading", 1 << 20, 2 << 20, 2.0) ==
        "loading  50% [==========>         ] 1.0 MiB of 2.0 MiB, 512.0 KiB/s, 0:02 left");
  CHECK(progress_line("x", 0, 0, 0).find("100%") != std::string::npos);
}

}  // namespace
