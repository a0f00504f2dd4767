// What is stored comes back, whatever happens to the file or to the process.
#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "autotune/store/attribute_text.hpp"
#include "autotune/store/database.hpp"
#include "autotune/store/lookup.hpp"
#include "autotune/store/tuning_folder.hpp"

using namespace tare;
namespace fs = std::filesystem;

namespace {

struct Folder {
  Folder() {
    char name[] = "/tmp/tare_tuning_XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return path + "/" + name; }
  std::string path;
};
TuningEntry sample(int64_t rows = 1, const std::string& sku = "here", const std::string& hash = "h1") {
  return {{sku, "linear/1 n=64 k=32 bf16", "w12/cpu-tiles", "order.a", rows},
          {.kernel = "k",
           .config = "{prefetch = 8}",
           .us = 12.5,
           .spread = 0.25,
           .first_us = 12,
           .runner_up = "",
           .runner_up_us = 0,
           .gb_s = 9.5,
           .share = 0.5,
           .baseline = "k {}",
           .baseline_us = 13,
           .exact = true,
           .hash = hash,
           .versions = "tare \"x\"",
           .date = "2026-01-31"}};
}

}  // namespace

TEST_CASE("configs survive their text") {
  const Attributes all{
      {"a", int64_t{-3}}, {"b", 0.5f}, {"c", true}, {"d", Symbol{"best"}}, {"e", std::string("x\"y\\z\n")},
      {"f", Constant{2}}};
  CHECK(*parse_attributes(to_string(all)) == all);
  CHECK(parse_attributes("{}")->empty());
  for (const char* bad : {"", "{", "{a}", "{a = }", "{a = 1", "{a = 1} x", "{a = \"x}", "{a = 1 b = 2}"})
    CHECK_FALSE(parse_attributes(bad).ok());
}

TEST_CASE("buckets end at their points") {
  CHECK(rows_point(1) == 1);
  CHECK(rows_point(65) == 96);
  CHECK(rows_point(9999) == 4096);
  CHECK(first_of_bucket(96) == 65);
  CHECK(first_of_bucket(1) == 1);
}

TEST_CASE("a database keeps entries, tries and numerics; two writers share it") {
  const Folder folder;
  auto a = TuningDatabase::open(folder / "deep/tuning.db");
  REQUIRE(a.ok());
  auto b = TuningDatabase::open(folder / "deep/tuning.db");
  REQUIRE(b.ok());
  const std::vector<TuningEntry> one{sample(1)}, two{sample(2)};
  CHECK(a->database->put(one).ok());
  CHECK(b->database->put(two).ok());
  CHECK(a->database->entries("here")->size() == 2);
  CHECK(**a->database->entry(one[0].key) == one[0]);
  CHECK(*a->database->keep_numerics("here", "p", "first") == "first");
  CHECK(*b->database->keep_numerics("here", "p", "second") == "first");
  const TriedCandidate tried{one[0].key, "k", "{}", "h", 3, 0.1, "", "2026-01-31"};
  CHECK(a->database->put(tried).ok());
  CHECK(b->database->tried(one[0].key)->front() == tried);
  auto broken = one;
  broken[0].key.rows = 3;
  CHECK_FALSE(a->database->put(broken).ok());
  CHECK(a->database->erase(std::vector{one[0].key}).ok());
  CHECK(b->database->entries()->size() == 1);
}

TEST_CASE("one tuner at a time on a device") {
  const Folder folder;
  auto first = TuningLock::take(folder / "t.db", "sku");
  REQUIRE(first.ok());
  const auto second = TuningLock::take(folder / "t.db", "sku");
  REQUIRE_FALSE(second.ok());
  CHECK(second.status().message().find(std::to_string(::getpid())) != std::string::npos);
  CHECK(TuningLock::take(folder / "t.db", "other").ok());
  first->reset();
  CHECK(TuningLock::take(folder / "t.db", "sku").ok());
}

TEST_CASE("what was saved survives kill -9 at any moment") {
  const Folder folder;
  const std::string path = folder / "t.db";
  for (int turn = 0; turn < 5; ++turn) {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto opened = TuningDatabase::open(path);
      for (char n = 0; opened.ok(); ++n) {
        TuningEntry e = sample();
        e.key.problem = "linear/1 " + std::to_string(turn) + "." + std::to_string(n & 63);
        if (!opened->database->put(std::vector{e}).ok()) break;
        if (::write(pipe_ends[1], "x", 1) != 1) break;
      }
      ::_exit(1);
    }
    char got[4];
    for (int i = 0; i < 4; ++i) REQUIRE(::read(pipe_ends[0], got, 1) == 1);  // four are said to be durable
    ::usleep(static_cast<useconds_t>(turn) * 700);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(pipe_ends[0]), ::close(pipe_ends[1]);
    auto again = TuningDatabase::open(path);
    REQUIRE(again.ok());
    CHECK(again->note.empty());
    CHECK(again->database->entries()->size() >= static_cast<size_t>(turn + 1) * 4);
  }
}

TEST_CASE("a damaged database is kept aside, a read-only one is read") {
  const Folder folder;
  const std::string path = folder / "t.db";
  std::ofstream(path) << "this is no database, and it is long enough to be taken for one by nobody at all";
  auto opened = TuningDatabase::open(path);
  REQUIRE(opened.ok());
  CHECK(opened->note.find(path + ".corrupt-1") != std::string::npos);
  CHECK(fs::exists(path + ".corrupt-1"));
  CHECK(opened->database->put(std::vector{sample()}).ok());
  opened->database.reset();
  auto reader = TuningDatabase::open_to_read(path);
  REQUIRE(reader.ok());
  CHECK((*reader)->entries()->size() == 1);
  const Status refused = (*reader)->put(std::vector{sample()});
  CHECK(refused.message().find("read-only") != std::string::npos);
  CHECK(*TuningDatabase::open_to_read(folder / "none.db") == nullptr);
}

TEST_CASE("tuning files print and parse; what is wrong is named") {
  const TuningFile file{"x86-64", "here", "linear", "A CPU", 2, {sample(1), sample(2)}};
  const std::string text = print_tuning_file(file);
  const auto again = parse_tuning_file(text, "f");
  REQUIRE_MESSAGE(again.ok(), again.status().message());
  CHECK(again->entries == file.entries);
  CHECK(print_tuning_file(*again) == text);
  const auto message = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    changed.replace(changed.find(from), from.size(), to);
    return parse_tuning_file(changed, "f", "here").status().message();
  };
  CHECK(message("spread =", "colour = 1, spread =").find("'colour'") != std::string::npos);
  CHECK(message("units =", "extra = 1\nunits =").find("'extra'") != std::string::npos);
  CHECK(message("\"here\"", "\"elsewhere\"").find("'elsewhere'") != std::string::npos);
  CHECK(message("schema = 1", "schema = 2").find("schema is 2") != std::string::npos);
  CHECK(message("rows = 1,", "rows = 3,").find("rows is 3") != std::string::npos);
  CHECK(message("rows = 2,", "rows = 1,").find("two entries") != std::string::npos);
}

TEST_CASE("a folder of shipped files is written and read; bad files cost a sentence") {
  const Folder folder;
  DeviceInfo device;
  device.name = "Invented 9000", device.architecture = "sm77", device.units = 7, device.kind = "cuda";
  device.sku = sku_of(device.name, {});
  CHECK(device.sku == "invented-9000");
  REQUIRE(write_tuning_files(folder.path, device, std::vector{sample(1, "invented-9000")}).ok());
  std::ofstream(folder / "sm77/invented-9000/bad.toml") << "schema = ";
  const TuningFolder read = read_tuning_folder(folder.path, "sm77");
  CHECK(read.files.size() == 1);
  CHECK(read.problems.size() == 1);
  const TuningFolder shipped = read_tuning_folder(TARE_SOURCE_DIR "/tuning-db");
  CHECK(shipped.problems.empty());
  CHECK(sku_of("NVIDIA H100 80GB HBM3", shipped.skus) == "nvidia-h100-sxm");
}

TEST_CASE("look-ups end exact, stale, nearest or not at all; the user's entries win") {
  DeviceInfo device;
  device.sku = "here", device.architecture = "a", device.units = 4;
  auto mine = sample();
  mine.value.kernel = "mine";
  const std::vector<SkuEntries> sources{{"here", "a", 4, {mine}},
                                        {"here", "a", 4, {sample(), sample(2)}},
                                        {"far", "a", 64, {sample(4, "far")}},
                                        {"near", "a", 6, {sample(4, "near")}},
                                        {"alien", "b", 4, {sample(8, "alien")}}};
  const TuningStore store(device, sources, [](std::string_view k) { return k == "mine" ? "h1" : "changed"; });
  const std::string problem = sample().key.problem;
  auto found = store.look_up(problem, "w12/cpu-tiles", "order.a", 1);
  REQUIRE(found.entry != nullptr);
  CHECK(found.entry->value.kernel == "mine");
  CHECK(found.ending == Ending::exact);
  CHECK(store.look_up(problem, "", "", 2).ending == Ending::stale);
  found = store.look_up(problem, "", "", 3);
  CHECK(found.ending == Ending::nearest);
  CHECK(found.note == "measured on near");
  CHECK(store.look_up(problem, "", "", 8).entry == nullptr);
  CHECK(store.look_up(problem, "dense/rows", "", 1).entry == nullptr);
  CHECK(store.look_up(problem, "", "order.b", 1).entry == nullptr);
}
