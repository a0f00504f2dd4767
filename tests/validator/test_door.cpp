// The door with files that load, and with plugins that are refused after loading. One bad plugin never costs another.
#include <doctest/doctest.h>

#include <algorithm>

#include "core/api/c_program.h"
#include "core/plugin/descriptor.hpp"
#include "tests/validator/plugins/probe.hpp"
#include "tests/validator/support.hpp"

using namespace tare;
using namespace tare::test;

namespace {
class TestLog final : public Log {
 public:
  void write(LogLevel, std::string_view message) noexcept override { last = message; }
  std::string last;
};
}  // namespace

TEST_CASE("the descriptor is read from the file without loading it") {
  const auto facts = inspect_elf(plugin_file("good"));
  REQUIRE_MESSAGE(facts.ok(), facts.refusal().sentence());
  CHECK(facts->id == "org.test.good");
  CHECK(facts->version == "1.2.3");
  CHECK(facts->abi_kind == kCppExact);
  CHECK(facts->struct_bytes == sizeof(PluginDescriptor));
  CHECK(facts->build_fingerprint == kBuildFingerprint);
  CHECK_FALSE(compare(*facts));
}

TEST_CASE("the C header lays the descriptor out as the C++ header does") {
  static_assert(sizeof(tare_plugin_descriptor) == sizeof(PluginDescriptor));
  static_assert(offsetof(tare_plugin_descriptor, id) == offsetof(PluginDescriptor, id));
  static_assert(offsetof(tare_plugin_descriptor, version) == offsetof(PluginDescriptor, version));
  static_assert(offsetof(tare_plugin_descriptor, register_into) == offsetof(PluginDescriptor, register_into));
  static_assert(offsetof(tare_plugin_descriptor, release) == offsetof(PluginDescriptor, release));
  static_assert(TARE_ABI_MAJOR == kAbiMajor && TARE_ABI_MINOR == kAbiMinor && TARE_ABI_KIND_C_PROGRAM == kCProgram);
  const auto facts = inspect_elf(plugin_file("c_good"));
  REQUIRE_MESSAGE(facts.ok(), facts.refusal().sentence());
  CHECK(facts->abi_kind == kCProgram);
  CHECK(facts->build_fingerprint.empty());
  CHECK_FALSE(compare(*facts));
}

TEST_CASE("a good plugin's parts are listed, handed out and asked by the host") {
  Folder folder;
  folder.copy("good");
  TestLog log;
  PluginHostOptions options;
  options.search.config_path = {folder.path()};
  options.interfaces["log/1"] = static_cast<Log*>(&log);
  const PluginHost host(std::move(options));
  REQUIRE_MESSAGE(host.loaded().size() == 1, (host.refused().empty() ? "" : host.refused()[0].sentence()));
  const LoadedPlugin& plugin = host.loaded()[0];
  CHECK(plugin.id == "org.test.good");
  CHECK(plugin.version == "1.2.3");
  CHECK(plugin.origin == "plugins.path");
  CHECK(plugin.families == std::vector<std::string>{"good"});
  CHECK(plugin.architectures == std::vector<std::string>{"GoodForCausalLM"});
  CHECK(plugin.kernels == std::vector<std::string>{"copy.good"});
  CHECK(plugin.layouts == std::vector<std::string>{"dense/good-rows"});
  CHECK(plugin.ops == std::vector<std::string>{"copy/1"});
  CHECK(plugin.services == std::vector<std::string>{"probe/1"});
  const Registrations& r = host.registrations();
  REQUIRE(r.kernels.size() == 1);
  CHECK(r.kernels[0]->id() == "copy.good");
  CHECK(r.families.size() == 1);
  CHECK(r.ops.size() == 1);
  CHECK(r.layouts.size() == 1);
  CHECK(log.last == "good is here");
  const Probe* probe = r.service<Probe>();
  REQUIRE(probe != nullptr);
  CHECK(probe->host_log_was_there());
  CHECK(contains(host.owner("kernel", "copy.good"), "org.test.good"));
  CHECK(host.owner("kernel", "copy.nobody").empty());
}

TEST_CASE("what plugins made outlives the host when somebody keeps it alive") {
  Folder folder;
  folder.copy("good");
  std::shared_ptr<const void> alive;
  const KernelCandidate* kernel = nullptr;
  {
    const PluginHost host = host_of(folder.path());
    REQUIRE(host.loaded().size() == 1);
    kernel = host.registrations().kernels[0];
    alive = host.keep_alive();
  }
  CHECK(kernel->takes() == std::vector<std::string>{"copy/1"});
}

TEST_CASE("of two plugins with one id the first wins and the second is refused naming both") {
  Folder folder;
  const std::string first = folder.copy("good", "a_first"), second = folder.copy("same_id", "b_second");
  const PluginHost host = host_of(folder.path());
  REQUIRE(host.loaded().size() == 1);
  CHECK(host.loaded()[0].version == "1.2.3");
  REQUIRE(host.refused().size() == 1);
  const std::string sentence = host.refused()[0].sentence();
  CHECK(sentence == second + ": id is 'org.test.good', which " + first + " has, expected an id of its own");
  CHECK(host.registrations().kernels.size() == 1);
}

TEST_CASE("a plugin whose registration fails leaves nothing behind, and the rest runs on") {
  Folder folder;
  folder.copy("good", "a_good"), folder.copy("other", "z_other");
  const auto refused = [&](const std::string& plugin, const std::vector<std::string>& parts) {
    CAPTURE(plugin);
    const std::string file = folder.copy(plugin);
    const PluginHost host = host_of(folder.path());
    CHECK(host.loaded().size() == 2);
    CHECK(host.registrations().kernels.size() == 2);
    CHECK(host.registrations().families.size() == 1);
    CHECK(host.registrations().layouts.size() == 1);
    REQUIRE(host.refused().size() == 1);
    const std::string sentence = host.refused()[0].sentence();
    CAPTURE(sentence);
    CHECK(one_line(sentence));
    CHECK(sentence.starts_with(file + ": "));
    CHECK(contains(sentence, ", expected "));
    for (const std::string& part : parts) CHECK_MESSAGE(contains(sentence, part), part);
    std::filesystem::remove(file);
  };
  refused("throwing", {"org.test.throwing", "it threw: the moon is in the wrong house"});
  refused("failing", {"org.test.failing", "this machine has no abacus"});
  refused("same_kernel", {"kernel 'copy.good'", "'org.test.good' (" + folder.file("a_good.so") + ")"});
  refused("no_family_entry", {"the entry 'text' of family 'mute'", "absent", "present"});
  refused("null_kernel", {"a kernel is null", "an object"});
  refused("unresolved", {"a_function_that_nobody_has"});
}

TEST_CASE("built-in ops are not defined again") {
  Folder folder;
  folder.copy("good");
  PluginHostOptions options;
  options.search.config_path = {folder.path()};
  options.built_in_ops = {"copy/1"};
  const PluginHost host(std::move(options));
  REQUIRE(host.refused().size() == 1);
  CHECK(contains(host.refused()[0].sentence(), "op 'copy/1' is registered already by the host"));
}

TEST_CASE("search order: config, TARE_PLUGIN_PATH, install folder; each place once; files by name") {
  Folder configured, environment, installed;
  configured.copy("good", "b"), configured.copy("other", "a");
  environment.copy("same_id");
  environment.write("readme.txt", "no plugin");
  installed.copy("c_good");
  PluginHostOptions options;
  options.search.config_path = {configured.path(), configured.path() + "/."};
  options.search.environment_path = "/no/such/folder:" + environment.path() + "::" + configured.path();
  options.search.install_folders = {installed.path(), "/no/such/install"};
  const PluginHost host(std::move(options));
  REQUIRE(host.places().size() == 5);
  CHECK(host.places()[0].files == std::vector<std::string>{configured.file("a.so"), configured.file("b.so")});
  CHECK(host.places()[1].note == "does not exist");
  CHECK(host.places()[2].origin == "TARE_PLUGIN_PATH");
  CHECK(host.places()[3].files == std::vector<std::string>{installed.file("c_good.so")});
  REQUIRE(host.loaded().size() == 3);
  CHECK(host.loaded()[0].id == "org.test.other");
  CHECK(host.loaded()[1].id == "org.test.good");
  CHECK(host.loaded()[2].origin == "install folder");
  REQUIRE(host.refused().size() == 2);  // the folder that is named and absent, and the second org.test.good
  CHECK(host.refused()[0].sentence() ==
        "/no/such/folder: a place of TARE_PLUGIN_PATH is one that does not exist, expected a folder");
  CHECK(contains(host.refused()[1].sentence(), configured.file("b.so")));
}

TEST_CASE("a single file may be named in the search path, and loaded later") {
  Folder folder;
  const std::string file = folder.copy("good");
  PluginHost host = host_of(file);
  CHECK(host.loaded().size() == 1);
  CHECK(host.load(plugin_file("other"), "command line").ok());
  CHECK(host.loaded().size() == 2);
  const Status again = host.load(plugin_file("other"), "command line");
  CHECK_FALSE(again.ok());
  CHECK(host.refused().size() == 1);
}

TEST_CASE("a plugin in pure C gives Program text, or its reason in one sentence") {
  Folder folder;
  folder.copy("c_good");
  const PluginHost host = host_of(folder.path());
  REQUIRE(host.registrations().programs.size() == 1);
  const CProgram& program = *host.registrations().programs[0];
  const auto text = program.program("{}");
  REQUIRE(text.ok());
  CHECK(*text == "tare-program 1\n");
  CHECK(program.program("reason").status().message() ==
        "plugin 'org.test.c_good': hidden_size is missing, expected a number");
  CHECK(contains(program.program("silent").status().message(), "returned 7 and gave no reason"));
  CHECK(contains(program.program("nothing").status().message(), "returned 0 and no text"));
}
