// The validator: a good plugin passes with every check named; a bad one fails in the line that says what it did, and
// the process that asked lives on.
#include <doctest/doctest.h>

#include <chrono>

#include "core/plugin/check.hpp"
#include "tests/validator/support.hpp"

using namespace tare;
using namespace tare::test;

namespace {
std::string printed(const CheckReport& report) {
  std::string out;
  for (const CheckLine& line : report.lines)
    out += text(name(line.outcome), " | ", name(line.blame), " | ", line.check, " | ", line.detail, "\n");
  return out;
}
const CheckLine* find(const CheckReport& report, CheckOutcome outcome, const std::string& check) {
  for (const CheckLine& line : report.lines)
    if (line.outcome == outcome && contains(line.check, check)) return &line;
  return nullptr;
}
// `plugin`: a file, or a way to misbehave.
bool is_file(const std::string& plugin) { return std::filesystem::exists(plugin_file(plugin)); }
CheckReport check_case(std::string plugin, int32_t time_limit_ms) {
  CheckOptions options;
  options.time_limit_ms = time_limit_ms;
  options.interfaces["test_case/1"] = &plugin;
  return check_plugin(plugin_file(is_file(plugin) ? plugin : "misbehaving"), options);
}
void check_fails(const std::string& plugin, const std::string& check, const std::string& detail,
                 int32_t time_limit_ms = 20000) {
  CAPTURE(plugin);
  const CheckReport report = check_case(plugin, time_limit_ms);
  CAPTURE(printed(report));
  CHECK_FALSE(report.passed());
  const CheckLine* line = find(report, CheckOutcome::failed, check);
  REQUIRE(line != nullptr);
  CHECK(contains(line->detail, detail));
  CHECK(line->blame == Blame::plugin);
}
}  // namespace

TEST_CASE("a good plugin passes, and the report says what was looked at") {
  const CheckReport report = check_plugin(plugin_file("good"));
  CAPTURE(printed(report));
  CHECK(report.passed());
  CHECK(report.id == "org.test.good");
  for (const char* check : {"file", "descriptor", "exports", "text relocations", "libraries", "registration",
                            "family 'good'", "layout 'dense/good-rows'", "service 'probe/1'", "unloading"})
    CHECK_MESSAGE(find(report, CheckOutcome::ok, check) != nullptr, check);
  // `copy/1` is no op of the vocabulary, but the kernel answers for it all the same.
  CHECK(find(report, CheckOutcome::ok, "kernel 'copy.good'") != nullptr);
}

TEST_CASE("a C program passes, and its odd configs are answered") {
  const CheckReport report = check_plugin(plugin_file("c_good"));
  CAPTURE(printed(report));
  CHECK(report.passed());
  CHECK(find(report, CheckOutcome::ok, "C program 'org.test.c_good'") != nullptr);
}

TEST_CASE("more exports than the door's are a warning") {
  const CheckReport report = check_plugin(plugin_file("good_exports"));
  CAPTURE(printed(report));
  CHECK(report.passed());
  const CheckLine* line = find(report, CheckOutcome::warning, "exports");
  REQUIRE(line != nullptr);
  CHECK(contains(line->detail, "plugin.version"));
}

TEST_CASE("a plugin that registers nothing passes with a warning") {
  const CheckReport report = check_case("empty", 20000);
  CHECK(report.passed());
  CHECK(find(report, CheckOutcome::warning, "registration") != nullptr);
}

TEST_CASE("a kernel without a no is a warning") {
  const CheckReport report = check_case("yes_to_all", 20000);
  CAPTURE(printed(report));
  CHECK(report.passed());
  const CheckLine* line = find(report, CheckOutcome::warning, "kernel 'odd.kernel'");
  REQUIRE(line != nullptr);
  CHECK(contains(line->detail, "says yes to all"));
}

TEST_CASE("a plugin that crashes, hangs or leaves cannot take the host along") {
  check_fails("crash_register", "loading and registration", "the process ");
  check_fails("exit_register", "loading and registration", "the process ended with exit code 0");
  check_fails("crash_supports", "supports() of no inputs", "the process ");
  check_fails("crash_unload", "destruction of what was registered", "the process ");
  const auto begin = std::chrono::steady_clock::now();
  check_fails("hang_register", "loading and registration", "did not end within 300 ms", 300);
  check_fails("hidden_hang", "supports() of 512 rows", "did not end within 1000 ms", 1000);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(30));
}

TEST_CASE("broken promises are named") {
  check_fails("throwing", "registration", "it threw: the moon is in the wrong house");
  check_fails("failing", "registration", "this machine has no abacus");
  check_fails("no_family_entry", "registration", "the entry 'text' of family 'mute'");
  check_fails("own_fallback", "kernel 'odd.kernel'", "accepts() refuses its own fallback {stride = 1}");
  check_fails("throwing_question", "kernel 'odd.kernel'", "a question threw (no such table)");
  check_fails("lost_bit", "layout 'odd/rows'", "row 30, byte 0 is ");
  check_fails("overrun", "layout 'odd/rows'", "encode() wrote behind the 2 bytes");
  check_fails("trusting", "layout 'odd/rows'", "check() lets ");
  check_fails("throwing_trace", "family 'odd'", "entry 'text' with an empty config.json threw (hidden_size)");
}

TEST_CASE("a file that is refused before loading says whose matter it is") {
  Folder folder;
  const CheckReport absent = check_plugin(folder.file("absent.so"));
  CHECK_FALSE(absent.passed());
  CHECK(contains(absent.lines[0].detail, "No such file or directory"));
  std::string content = read_file(plugin_file("good"));
  const size_t at = content.find(std::string(kBuildFingerprint));
  REQUIRE(at != std::string::npos);
  content[at + 5] = content[at + 5] == '0' ? '1' : '0';
  const CheckReport foreign = check_plugin(folder.write("foreign.so", content));
  CAPTURE(printed(foreign));
  CHECK_FALSE(foreign.passed());
  const CheckLine* line = find(foreign, CheckOutcome::failed, "descriptor");
  REQUIRE(line != nullptr);
  CHECK(line->blame == Blame::build);
  CHECK(contains(line->detail, "build_fingerprint"));
}

TEST_CASE("a library that this machine lacks is the machine's matter") {
  Folder folder;
  std::string content = read_file(plugin_file("good"));
  for (size_t at = content.find("libstdc++.so.6"); at != std::string::npos; at = content.find("libstdc++.so.6", at + 1))
    content[at + 3] = 'x';
  const CheckReport report = check_plugin(folder.write("lacking.so", content));
  CAPTURE(printed(report));
  const CheckLine* line = find(report, CheckOutcome::failed, "registration");
  REQUIRE(line != nullptr);
  CHECK(line->blame == Blame::machine);
  CHECK(contains(line->detail, "libxtdc++.so.6"));
  CHECK(find(report, CheckOutcome::warning, "libraries") != nullptr);
}
