#include "core/config/settings.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "core/base/file.hpp"
#include "core/config/schema.hpp"
#include "core/config/values.hpp"

namespace {

using namespace tare;

std::string refusal(std::string_view toml) { return parse_settings(toml, "t.toml").status().message(); }
Environment environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const char* name) -> std::optional<std::string> {
    const auto at = values.find(name);
    return at == values.end() ? std::nullopt : std::optional(at->second);
  };
}

TEST_CASE("a file with only a source is valid and everything else has its default") {
  const auto s = parse_settings("[[model]]\nsource = \"models/llama-3.1-8b.gguf\"\n", "conf/t.toml");
  REQUIRE_MESSAGE(s.ok(), s.status().message());
  REQUIRE(s->models.size() == 1);
  CHECK(s->models[0].name == "llama-3.1-8b");
  CHECK(s->resolve(s->models[0].source) == "conf/models/llama-3.1-8b.gguf");
  CHECK(s->resolve("/a") == "/a");
  CHECK(s->server.host == "127.0.0.1");
  CHECK(s->server.port == 8080);
  CHECK(s->deterministic);
  CHECK(s->device_memory.of(1000) == 900);
  CHECK(s->log.level == LogLevel::info);
}

TEST_CASE("every key of the design's file is read") {
  const auto s = parse_settings(R"(
[server]
listen = "[::1]:0"
api_keys_file = "keys"
max_body = "1.5MiB"
max_connections = 7
header_timeout = "250ms"
shutdown_deadline = "2min"
[plugins]
path = ["/usr/lib/tare/plugins", "more"]
[device]
use = "cpu"
memory = "60GiB"
threads = 3
graphs = false
[engine]
deterministic = false
max_batch = 2
max_step_tokens = 128
queue = 9
[log]
level = "debug"
format = "json"
[[model]]
name = "a"
source = "x"
context = 32768
objective = "memory"
memory = "14GiB"
generation_config = "off"
temperature = 0
top_p = 0.95
top_k = 40
repetition_penalty = "auto"
[[model]]
source = "y/"
objective = "mix:16=1,1=3"
[jit]
cache = "none"
cache_size = "64MiB"
compiler = "/opt/nvrtc"
sources = "/src/tare"
[tuning]
database = "none"
on_miss = "fail"
budget = "5s"
)",
                                "t.toml");
  REQUIRE_MESSAGE(s.ok(), s.status().message());
  CHECK(s->server.host == "::1");
  CHECK(s->server.port == 0);
  CHECK(s->api_keys_file == "keys");
  CHECK(s->server.max_body_bytes == 1572864);
  CHECK(s->server.max_connections == 7);
  CHECK(s->server.header_timeout_ms == 250);
  CHECK(s->server.shutdown_deadline_ms == 120000);
  CHECK(s->plugin_path == std::vector<std::string>{"/usr/lib/tare/plugins", "more"});
  CHECK(s->devices == std::vector<std::string>{"cpu"});
  CHECK(s->device_memory.of(1) == int64_t{60} << 30);
  CHECK(s->device_threads == 3);
  CHECK_FALSE(s->device_graphs);
  CHECK_FALSE(s->deterministic);
  CHECK(s->max_batch == 2);
  CHECK(s->max_step_tokens == 128);
  CHECK(s->queue == 9);
  CHECK(s->log.level == LogLevel::debug);
  CHECK(s->log.format == LogFormat::json);
  CHECK(s->models[0].context == 32768);
  CHECK(s->models[0].objective == Objective::memory);
  CHECK(s->models[0].generation_config_off);
  CHECK(s->models[0].sampling == SamplingDefaults{0.0f, 0.95f, {}, {}, 40});
  CHECK(s->models[1].sampling == SamplingDefaults{});
  CHECK_FALSE(s->models[1].generation_config_off);
  CHECK(s->models[0].memory_bytes == int64_t{14} << 30);
  CHECK(s->models[1].name == "y");
  CHECK(s->models[1].objective == Objective::mix);
  CHECK(s->models[1].mix == std::vector<BatchShare>{{1, 0.75}, {16, 0.25}});
  CHECK(s->kernel_cache == "none");
  CHECK(s->kernel_cache_bytes == int64_t{64} << 20);
  CHECK(s->compiler_path == std::vector<std::string>{"/opt/nvrtc"});
  CHECK(s->kernel_sources == "/src/tare");
  CHECK(s->tuning_database == "none");
  CHECK(s->on_miss == OnMiss::fail);
  CHECK(s->tuning_budget_ms == 5000);
}

TEST_CASE("unknown keys name line, key, what was found and the nearest valid key") {
  CHECK(refusal("[server]\n\nlisen = \"x\"") ==
        "t.toml:3: [server] has no key 'lisen' (found \"x\"), expected one of listen, api_keys_file, max_body, "
        "max_connections, header_timeout, body_timeout, idle_timeout, shutdown_deadline, threads; the nearest is "
        "'listen'");
  CHECK(refusal("[server]\nqueue = 3").ends_with("; there is one in [engine]"));
  CHECK(
      refusal("[servr]\nlisten = \"x\"") ==
      "t.toml:1: there is no table 'servr', expected one of server, plugins, device, engine, model, log, jit, tuning; "
      "the nearest "
      "is 'server'");
  CHECK(refusal("listen = \"127.0.0.1:1\"") == "t.toml:1: 'listen' stands outside of a table, expected it in [server]");
  CHECK(refusal("[[model]]\nsource = \"x\"\nkontext = 5").find("t.toml:3: [model] has no key 'kontext' (found 5)") ==
        0);
}

TEST_CASE("wrong types and impossible values name what was found and what was expected") {
  CHECK(refusal("[engine]\nqueue = \"5\"") ==
        "t.toml:2: [engine] queue is \"5\", expected a whole number from 1 to 1000000");
  CHECK(refusal("[engine]\nqueue = 0") == "t.toml:2: [engine] queue is 0, expected a whole number from 1 to 1000000");
  CHECK(refusal("[engine]\nqueue = 1.5") ==
        "t.toml:2: [engine] queue is 1.5, expected a whole number from 1 to 1000000");
  CHECK(refusal("[engine]\ndeterministic = 1") == "t.toml:2: [engine] deterministic is 1, expected true or false");
  CHECK(refusal("[server]\nlisten = \"127.0.0.1\"").find("expected an address and a port") != std::string::npos);
  CHECK(refusal("[server]\nlisten = \"127.0.0.1:65536\"").find("expected an address and a port") != std::string::npos);
  CHECK(refusal("[server]\nlisten = 8080").find("listen is 8080, expected an address") != std::string::npos);
  CHECK(refusal("[server]\nmax_body = \"8 megs\"") ==
        "t.toml:2: [server] max_body is \"8 megs\", expected a size such as \"8MiB\" or a number of bytes, from 1KiB "
        "to 1GiB");
  CHECK(refusal("[server]\nidle_timeout = 10").find("expected a duration such as") != std::string::npos);
  CHECK(refusal("[device]\nmemory = \"110%\"").find("\"110%\", expected a share") != std::string::npos);
  CHECK(refusal("[device]\nmemory = \"-1GiB\"").find("expected a share") != std::string::npos);
  CHECK(refusal("[device]\nuse = []").find("use is a list, expected a name or a list of names") != std::string::npos);
  CHECK(refusal("[device]\nuse = [\"cpu\", 3]").find("a list, expected a name or a list of names") !=
        std::string::npos);
  CHECK(refusal("[log]\nlevel = \"verbose\"") ==
        "t.toml:2: [log] level is \"verbose\", expected one of \"debug\", \"info\", \"warning\", \"error\"");
  CHECK(refusal("[log]\nlevel = 1979-05-27").find("level is a date or time, expected one of") != std::string::npos);
  CHECK(refusal("server = 3") == "t.toml:1: server is 3, expected a table [server]");
  CHECK(refusal("[model]\nsource = \"x\"") == "t.toml:1: model is a table, expected [[model]] in double brackets");
  CHECK(refusal("[[model]]\nname = \"x\"") == "t.toml:1: [[model]] has no source, expected a path");
  CHECK(refusal("[[model]]\nsource = \"\"").find("source is \"\", expected a path") != std::string::npos);
  CHECK(refusal("[[model]]\nsource = \"a/x\"\n[[model]]\nsource = \"b/x\"") ==
        "t.toml:3: a second [[model]] has the name 'x', expected a name of its own");
  CHECK(refusal("[[model]]\nsource = \"a\\u0000b\"").find("expected a path") != std::string::npos);
}

TEST_CASE("broken TOML names its line") {
  CHECK(refusal("[server]\nlisten = ").starts_with("t.toml:2: is no valid TOML: "));
  CHECK(refusal("a = \xff").starts_with("t.toml:1: is no valid TOML: "));
  CHECK(refusal("[server]\nthreads = 1\nthreads = 2").starts_with("t.toml:3: is no valid TOML: "));
  CHECK(refusal("[[m\xef\xb9\xbf[").starts_with("t.toml:1: is no valid TOML: "));
  CHECK(refusal("a\xc3\xa9 = 1").starts_with("t.toml:1: is no valid TOML: "));
  CHECK(parse_settings("# \xc3\xa9\n[[model]]\nsource = \"\xc3\xa9\"", "t.toml").ok());
  CHECK(refusal("a = " + std::string(100000, '[')).starts_with("t.toml:1: is no valid TOML: "));
  CHECK(parse_settings("[", "").status().message().starts_with("settings:1: is no valid TOML: "));
}

TEST_CASE("the environment wins over the file and is checked by the same table") {
  auto s = parse_settings("[log]\nlevel = \"error\"\n[engine]\nqueue = 5", "t.toml");
  REQUIRE(s.ok());
  REQUIRE(apply_environment(environment({{"TARE_LOG", "debug"},
                                         {"TARE_PLUGIN_PATH", "a:/b:"},
                                         {"TARE_DEVICE", "cuda:0"},
                                         {"TARE_THREADS", "2"},
                                         {"TARE_MEMORY", ""}}),
                            &*s)
              .ok());
  CHECK(s->log.level == LogLevel::debug);
  CHECK(s->plugin_path == std::vector<std::string>{"a", "/b"});
  CHECK(s->devices == std::vector<std::string>{"cuda:0"});
  CHECK(s->device_threads == 2);
  CHECK(s->queue == 5);
  CHECK(apply_environment(environment({{"TARE_LOG", "verbose"}}), &*s).message() ==
        "the environment's TARE_LOG is \"verbose\", expected one of \"debug\", \"info\", \"warning\", \"error\"");
  CHECK(apply_environment(environment({{"TARE_THREADS", "two"}}), &*s).message().find("expected a whole number") !=
        std::string::npos);
  CHECK(user_folders(environment({{"HOME", "/home/u"}})).data == "/home/u/.local/share/tare");
  CHECK(user_folders(environment({{"HOME", "/home/u"}, {"XDG_CACHE_HOME", "/c"}})).cache == "/c/tare");
  CHECK(user_folders(environment({})).data.empty());
}

TEST_CASE("what is printed reads back to the same settings") {
  auto s =
      settings_for_model("dir/model \"x\".gguf", environment({{"TARE_LISTEN", "[::1]:99"}, {"TARE_MEMORY", "12.5%"}}));
  REQUIRE(s.ok());
  s->server.max_body_bytes = 1025;
  s->models[0].memory_bytes = int64_t{3} << 30;
  s->server.idle_timeout_ms = 1500;
  const std::string text = print_settings(*s);
  CHECK(text.find("[server]\nlisten = \"[::1]:99\"\n") != std::string::npos);
  CHECK(text.find("max_body = \"1025B\"\n") != std::string::npos);
  CHECK(text.find("idle_timeout = \"1500ms\"\n") != std::string::npos);
  CHECK(text.find("memory = \"12.5%\"\n") != std::string::npos);
  CHECK(text.find("[[model]]\nname = \"model \\\"x\\\"\"\nsource = \"dir/model \\\"x\\\".gguf\"\n") !=
        std::string::npos);
  const auto back = parse_settings(text, "t.toml");
  REQUIRE_MESSAGE(back.ok(), back.status().message());
  CHECK(print_settings(*back) == text);
  CHECK(back->device_memory.share == 0.125);
}

TEST_CASE("a file is loaded, and one without a model is refused") {
  std::string folder = "/tmp/tare-config-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/t.toml";
  std::ofstream(path) << "[engine]\nqueue = 5\n";
  CHECK(load_settings(path, environment({})).status().message() ==
        path + ": has no [[model]], expected at least one with a source");
  std::ofstream(path) << "[[model]]\nsource = \"m\"\n";
  auto s = load_settings(path, environment({}));
  REQUIRE(s.ok());
  CHECK(s->resolve(s->models[0].source) == folder + "/m");
  CHECK(load_settings(folder + "/none", environment({})).status().code() == Code::not_found);
  std::ofstream(path) << "# keys\n\n sk-abcdefgh \r\nsk-12345678\n";
  CHECK(*read_api_keys(path) == std::vector<std::string>{"sk-abcdefgh", "sk-12345678"});
  std::ofstream(path) << "# keys\nshort\n";
  CHECK(read_api_keys(path).status().message() ==
        path + ":2: is no API key, expected at least 8 characters without spaces");
  std::ofstream(path) << "# keys\n";
  CHECK(read_api_keys(path).status().message() == path + ": has no API key, expected one a line");
  std::filesystem::remove_all(folder);
}

TEST_CASE("sizes, durations and shares") {
  CHECK(parse_size("8MiB") == 8 << 20);
  CHECK(parse_size("1.5 GiB") == int64_t{3} << 29);
  CHECK(parse_size("2GB") == 2'000'000'000);
  CHECK(parse_size("17") == 17);
  for (const char* bad : {"", "MiB", "-1MiB", "1e3", "1MiBs", "9999999999TiB", "nan", "inf", "0x10"})
    CHECK_FALSE(parse_size(bad));
  CHECK(print_size(3 << 20) == "3MiB");
  CHECK(print_size(1000) == "1000B");
  CHECK(parse_duration_ms("1h") == 3600000);
  CHECK(parse_duration_ms("0.5s") == 500);
  CHECK_FALSE(parse_duration_ms("10"));
  CHECK(print_duration_ms(90000) == "90s");
  CHECK(print_duration_ms(120000) == "2min");
  CHECK(parse_share("100%") == 1);
  CHECK_FALSE(parse_share("0%"));
  CHECK_FALSE(parse_share("101%"));
  for (const double share : {0.9, 0.125, 0.333, 1.0, 0.07}) CHECK(parse_share(print_share(share)) == share);
}

TEST_CASE("the reference page has the table that the program knows") {
  const auto page = read_file(TARE_SOURCE_DIR "/docs/formats/config.md", 1 << 20);
  REQUIRE(page.ok());
  CHECK_MESSAGE(page->find(settings_reference()) != std::string::npos, "docs/formats/config.md should have:\n",
                settings_reference());
}

}  // namespace

TEST_CASE("a mix of batch sizes is read, printed and read again; what is none is refused") {
  const auto mix = parse_mix("mix:1=0.7,16=0.3");
  REQUIRE(mix.has_value());
  CHECK(*mix == std::vector<BatchShare>{{1, 0.7}, {16, 0.3}});
  CHECK(print_mix(*mix) == "mix:1=0.7,16=0.3");
  CHECK(*parse_mix(print_mix(*parse_mix("mix:512=1, 8=2"))) == *parse_mix("mix:8=2,512=1"));
  for (const char* bad : {"", "mix", "mix:", "1=1", "mix:1", "mix:1=", "mix:0=1", "mix:1=0", "mix:1=-1", "mix:1=x",
                          "mix:1=1,", "mix:1=1,1=2", "mix:4097=1", "mix:1=1;2=1", "mix:1=nan", "mix:1=0.5 x"}) {
    INFO(bad);
    CHECK_FALSE(parse_mix(bad).has_value());
  }
  const auto refused = parse_settings("[[model]]\nsource = \"x\"\nobjective = \"mix:2\"\n", "t.toml");
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().message().find("mix:1=0.7,16=0.3") != std::string::npos);
}
