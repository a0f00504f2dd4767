#include "core/config/schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <utility>

#include "core/base/printable.hpp"
#include "core/config/values.hpp"

namespace tare {
namespace {

using Kind = SettingRow::Kind;
struct About {
  std::string table, key, environment, meaning;
};
// `field(settings, model)` gives a reference to where the value lives.
template <class Field>
SettingRow text_row(About about, std::string expected, Field field, bool may_be_empty) {
  return {about.table,
          about.key,
          Kind::text,
          std::move(expected),
          about.environment,
          about.meaning,
          [=](Settings& s, ModelSettings& m, const SettingValue& value) {
            const auto* text = std::get_if<std::string>(&value);
            if (text == nullptr || (text->empty() && !may_be_empty) || text->find('\0') != text->npos) return false;
            field(s, m) = *text;
            return true;
          },
          [=](Settings& s, ModelSettings& m) { return json_string(field(s, m)); }};
}
template <class Field>
SettingRow list_row(About about, Kind kind, std::string expected, Field field, bool may_be_empty) {
  return {about.table,
          about.key,
          kind,
          std::move(expected),
          about.environment,
          about.meaning,
          [=](Settings& s, ModelSettings& m, const SettingValue& value) {
            std::vector<std::string> list;
            if (const auto* one = std::get_if<std::string>(&value))
              list = {*one};
            else if (const auto* many = std::get_if<std::vector<std::string>>(&value))
              list = *many;
            else
              return false;
            if (list.empty() && !may_be_empty) return false;
            for (const std::string& text : list)
              if (text.empty() || text.find('\0') != text.npos) return false;
            field(s, m) = std::move(list);
            return true;
          },
          [=](Settings& s, ModelSettings& m) { return to_string(SettingValue(field(s, m))); }};
}
template <class Field>
SettingRow integer_row(About about, int64_t least, int64_t most, Field field) {
  return {about.table,
          about.key,
          Kind::integer,
          text("a whole number from ", least, " to ", most),
          about.environment,
          about.meaning,
          [=](Settings& s, ModelSettings& m, const SettingValue& value) {
            const auto* number = std::get_if<int64_t>(&value);
            if (number == nullptr || *number < least || *number > most) return false;
            field(s, m) = static_cast<std::decay_t<decltype(field(s, m))>>(*number);
            return true;
          },
          [=](Settings& s, ModelSettings& m) { return std::to_string(field(s, m)); }};
}
template <class Field>
SettingRow boolean_row(About about, Field field) {
  return {about.table,
          about.key,
          Kind::boolean,
          "true or false",
          about.environment,
          about.meaning,
          [=](Settings& s, ModelSettings& m, const SettingValue& value) {
            const auto* flag = std::get_if<bool>(&value);
            if (flag != nullptr) field(s, m) = *flag;
            return flag != nullptr;
          },
          [=](Settings& s, ModelSettings& m) { return std::string(field(s, m) ? "true" : "false"); }};
}
template <size_t N, class Field>
SettingRow choice_row(About about, const std::array<std::string_view, N>& names, Field field) {
  std::string expected = "one of ";
  for (size_t i = 0; i < N; ++i) expected += text(i > 0 ? ", " : "", '"', names[i], '"');
  return {about.table,
          about.key,
          Kind::text,
          expected,
          about.environment,
          about.meaning,
          [=](Settings& s, ModelSettings& m, const SettingValue& value) {
            const auto* word = std::get_if<std::string>(&value);
            const auto at = word == nullptr ? names.end() : std::find(names.begin(), names.end(), *word);
            if (at == names.end()) return false;
            field(s, m) = static_cast<std::decay_t<decltype(field(s, m))>>(at - names.begin());
            return true;
          },
          [=](Settings& s, ModelSettings& m) { return json_string(names[static_cast<size_t>(field(s, m))]); }};
}
// A text of `parse`, or where it counts plain units a whole number of them.
template <class Field>
SettingRow size_row(About about, int64_t least, int64_t most, Field field) {
  return {about.table,
          about.key,
          Kind::text,
          text("a size such as \"8MiB\" or a number of bytes, from ", print_size(least), " to ", print_size(most)),
          about.environment,
          about.meaning,
          [=](Settings& s, ModelSettings& m, const SettingValue& value) {
            const auto* word = std::get_if<std::string>(&value);
            const auto* number = std::get_if<int64_t>(&value);
            const auto bytes = word != nullptr     ? parse_size(*word)
                               : number != nullptr ? std::optional(*number)
                                                   : std::nullopt;
            if (!bytes || *bytes < least || *bytes > most) return false;
            field(s, m) = *bytes;
            return true;
          },
          [=](Settings& s, ModelSettings& m) { return json_string(print_size(field(s, m))); }};
}
template <class Field>
SettingRow duration_row(About about, Field field) {
  constexpr int64_t kMost = 24 * 3600 * 1000;
  return {about.table,
          about.key,
          Kind::text,
          "a duration such as \"500ms\", \"10s\" or \"5min\", from \"1ms\" to \"24h\"",
          about.environment,
          about.meaning,
          [=](Settings& s, ModelSettings& m, const SettingValue& value) {
            const auto* word = std::get_if<std::string>(&value);
            const auto milliseconds = word != nullptr ? parse_duration_ms(*word) : std::nullopt;
            if (!milliseconds || *milliseconds < 1 || *milliseconds > kMost) return false;
            field(s, m) = static_cast<int32_t>(*milliseconds);
            return true;
          },
          [=](Settings& s, ModelSettings& m) { return json_string(print_duration_ms(field(s, m))); }};
}
SettingRow listen_row(About about) {
  return {about.table,
          about.key,
          Kind::text,
          "an address and a port such as \"127.0.0.1:8080\" or \"[::1]:8080\"",
          about.environment,
          about.meaning,
          [](Settings& s, ModelSettings&, const SettingValue& value) {
            const auto* word = std::get_if<std::string>(&value);
            return word != nullptr && parse_listen(*word, &s.server).ok();
          },
          [](Settings& s, ModelSettings&) {
            const bool v6 = s.server.host.find(':') != std::string::npos;
            return json_string(text(v6 ? "[" : "", s.server.host, v6 ? "]:" : ":", s.server.port));
          }};
}
SettingRow memory_row(About about) {
  return {about.table,
          about.key,
          Kind::text,
          "a share such as \"90%\", a size such as \"60GiB\" or a number of bytes",
          about.environment,
          about.meaning,
          [](Settings& s, ModelSettings&, const SettingValue& value) {
            const auto* word = std::get_if<std::string>(&value);
            const auto* number = std::get_if<int64_t>(&value);
            if (const auto share = word != nullptr ? parse_share(*word) : std::nullopt) {
              s.device_memory = {.bytes = 0, .share = *share};
              return true;
            }
            const auto bytes = word != nullptr     ? parse_size(*word)
                               : number != nullptr ? std::optional(*number)
                                                   : std::nullopt;
            if (!bytes || *bytes < 1) return false;
            s.device_memory.bytes = *bytes;
            return true;
          },
          [](Settings& s, ModelSettings&) {
            return json_string(s.device_memory.bytes > 0 ? print_size(s.device_memory.bytes)
                                                         : print_share(s.device_memory.share));
          }};
}

SettingRow objective_row(About about) {
  return {about.table,
          about.key,
          Kind::text,
          "\"latency\", \"throughput\", \"balanced\", \"memory\", or a mix such as \"mix:1=0.7,16=0.3\"",
          about.environment,
          about.meaning,
          [](Settings&, ModelSettings& m, const SettingValue& value) {
            const auto* word = std::get_if<std::string>(&value);
            return word != nullptr && parse_objective(*word, &m);
          },
          [](Settings&, ModelSettings& m) { return json_string(print_objective(m)); }};
}

// An optional number; "auto": absent. `whole`: an int32_t, else a float.
template <bool whole, class Field>
SettingRow sampling_row(std::string_view key, std::string_view meaning, double least, double most, Field field) {
  return {
      "model",
      std::string(key),
      Kind::text,
      whole ? text("\"auto\", or a whole number from ", static_cast<int64_t>(least), " to ", static_cast<int64_t>(most))
            : text("\"auto\", or a number from ", least, " to ", most),
      "",
      std::string(meaning),
      [=](Settings&, ModelSettings& m, const SettingValue& value) {
        const auto* word = std::get_if<std::string>(&value);
        const auto* integer = std::get_if<int64_t>(&value);
        const auto* real = std::get_if<double>(&value);
        auto& to = field(m.sampling);
        if (word != nullptr && *word == "auto") {
          to.reset();
          return true;
        }
        if (integer == nullptr && (whole || real == nullptr)) return false;
        const double number = integer != nullptr ? static_cast<double>(*integer) : *real;
        if (!(number >= least && number <= most)) return false;
        to = static_cast<typename std::decay_t<decltype(to)>::value_type>(number);
        return true;
      },
      [=](Settings&, ModelSettings& m) {
        const auto& value = field(m.sampling);
        if (!value) return std::string("\"auto\"");
        char digits[40];
        return std::string(digits, std::to_chars(digits, digits + sizeof digits, *value).ptr);
      }};
}

#define TARE_FIELD(expression) [](Settings& s, ModelSettings& m) -> auto& { return (void)s, (void)m, expression; }

}  // namespace

std::string to_string(const SettingValue& value) {
  struct Print {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(int64_t i) const { return std::to_string(i); }
    std::string operator()(double d) const {
      char digits[40];
      return {digits, std::to_chars(digits, digits + sizeof digits, d).ptr};
    }
    std::string operator()(const std::string& s) const { return json_string(s); }
    std::string operator()(const std::vector<std::string>& list) const {
      std::string out = "[";
      for (const std::string& s : list) out += (out.size() > 1 ? ", " : "") + json_string(s);
      return out + "]";
    }
  };
  return std::visit(Print{}, value);
}

std::vector<SettingRow> setting_rows() {
  constexpr int64_t kMost32 = std::numeric_limits<int32_t>::max();
  const std::string path = "a path";
  std::vector<SettingRow> rows;
  const auto add = [&](SettingRow row) { rows.push_back(std::move(row)); };

  add(listen_row({"server", "listen", "TARE_LISTEN", "Where the server listens; port 0 takes any free one."}));
  add(text_row({"server", "api_keys_file", "TARE_API_KEYS_FILE",
                "A file with one API key a line. Empty: no key is asked for, and only a loopback address may be used."},
               path + ", or \"\"", TARE_FIELD(s.api_keys_file), true));
  add(size_row({"server", "max_body", "", "The largest request body; a larger one gets 413."}, 1 << 10, 1 << 30,
               TARE_FIELD(s.server.max_body_bytes)));
  add(integer_row({"server", "max_connections", "", "Connections at once; one more gets 429."}, 1, 1'000'000,
                  TARE_FIELD(s.server.max_connections)));
  add(duration_row({"server", "header_timeout", "", "For a request's header to arrive, else 408."},
                   TARE_FIELD(s.server.header_timeout_ms)));
  add(duration_row({"server", "body_timeout", "", "For a request's body to arrive, else 408."},
                   TARE_FIELD(s.server.body_timeout_ms)));
  add(duration_row({"server", "idle_timeout", "", "A connection with no request is closed after this."},
                   TARE_FIELD(s.server.idle_timeout_ms)));
  add(duration_row({"server", "shutdown_deadline", "", "What is running may go on for so long after SIGTERM."},
                   TARE_FIELD(s.server.shutdown_deadline_ms)));
  add(integer_row({"server", "threads", "", "Threads that serve connections."}, 1, 256, TARE_FIELD(s.server.threads)));

  add(list_row({"plugins", "path", "TARE_PLUGIN_PATH",
                "Folders that are searched for plugins, in order. Empty: the folder that belongs to the program."},
               Kind::paths, "a path or a list of paths", TARE_FIELD(s.plugin_path), true));

  add(list_row({"device", "use", "TARE_DEVICE",
                "Devices: \"auto\" (a GPU if there is one, else the CPU), \"cpu\", \"cuda:0\"; "
                "\"cpu:avx2\" (or avx512, sse4, baseline) leaves wider instruction sets of the CPU out."},
               Kind::names, "a name or a list of names", TARE_FIELD(s.devices), false));
  add(memory_row(
      {"device", "memory", "TARE_MEMORY",
       "A budget that is kept: a share of the device's total, or so many bytes. What does not fit is refused."}));
  add(integer_row(
      {"device", "threads", "TARE_THREADS", "CPU threads that compute; 0: all cores that the process may use."}, 0,
      4096, TARE_FIELD(s.device_threads)));
  add(boolean_row(
      {"device", "graphs", "TARE_GRAPHS",
       "On GPUs, record a decode step's launches the second time that its shape comes, and launch them as a "
       "whole (a CUDA graph) from then on. false launches every kernel by itself."},
      TARE_FIELD(s.device_graphs)));

  add(boolean_row(
      {"engine", "deterministic", "",
       "A sequence's tokens do not depend on what else runs. false allows faster kernels that depend on it."},
      TARE_FIELD(s.deterministic)));
  add(integer_row({"engine", "max_batch", "", "Sequences that run at once."}, 1, 65536, TARE_FIELD(s.max_batch)));
  add(integer_row({"engine", "max_step_tokens", "",
                   "Tokens in one step. A longer prompt is taken in chunks, so this bounds how long others wait."},
                  1, 1 << 20, TARE_FIELD(s.max_step_tokens)));
  add(integer_row({"engine", "queue", "", "Requests that may wait; one more gets 429."}, 1, 1'000'000,
                  TARE_FIELD(s.queue)));

  add(text_row(
      {"model", "name", "", "The name that requests use. Left out: the last part of the source, without its ending."},
      "a name", TARE_FIELD(m.name), false));
  add(text_row({"model", "source", "", "A Hugging Face folder, a .safetensors file in one, or a .gguf file. Required."},
               path, TARE_FIELD(m.source), false));
  add(integer_row({"model", "context", "", "The most tokens of prompt and output together; 0: the model's own."}, 0,
                  kMost32, TARE_FIELD(m.context)));
  add(text_row(
      {"model", "layout", "",
       "Code of the linear layers' weights in memory: dense, w12 (12 bits a weight), w11 (about 11.4), lossless "
       "all; or a layout's full name. Empty: as the objective has it."},
      "a layout's name", TARE_FIELD(m.layout), true));
  add(objective_row(
      {"model", "objective", "",
       "What the choice of a layout for each matrix aims at where `layout` names none: latency (the fastest steps of "
       "one token), throughput (the fastest full steps: of max_batch sequences, and of max_step_tokens tokens of "
       "prompts, as many as four prompt tokens for each answered one make), balanced (the least time x memory), memory "
       "(the least memory), or a mix: the fastest for steps of so many tokens, by their shares. Without measurements: "
       "plain weights, w12, w11, and smaller ones where "
       "memory asks for it."}));
  add(size_row({"model", "memory", "",
                "A cap for this model's weights, workspace and state together; layouts are chosen so that it holds. 0: "
                "only the device's."},
               0, int64_t{1} << 50, TARE_FIELD(m.memory_bytes)));

  add(choice_row(
      {"model", "generation_config", "",
       "How to sample where a request says nothing. auto: as the checkpoint's generation_config.json has it "
       "(temperature, top_p, top_k, min_p, repetition_penalty; do_sample false is temperature 0). off: that file is "
       "not asked. The keys below go over it in both cases."},
      std::array<std::string_view, 2>{"auto", "off"}, TARE_FIELD(m.generation_config_off)));
#define TARE_SAMPLING(name) [](SamplingDefaults& d) -> auto& { return d.name; }
  add(sampling_row<false>("temperature", "0: greedy. \"auto\" here and below: as generation_config.json, else 1.", 0,
                          10000, TARE_SAMPLING(temperature)));
  add(sampling_row<false>("top_p", "The likeliest tokens that together have this share. Else 1: all.", 1e-6, 1,
                          TARE_SAMPLING(top_p)));
  add(sampling_row<true>("top_k", "So many of the likeliest tokens. Else 0: all.", 0, kMost32, TARE_SAMPLING(top_k)));
  add(sampling_row<false>("min_p", "Tokens with at least this share of the likeliest one's probability. Else 0: all.",
                          0, 1, TARE_SAMPLING(min_p)));
  add(sampling_row<false>("repetition_penalty", "Above 1: what was said before is less likely. Else 1.", 0.01, 10,
                          TARE_SAMPLING(repetition_penalty)));

  add(choice_row({"log", "level", "TARE_LOG", "What is below it is not written."},
                 std::array<std::string_view, 4>{"debug", "info", "warning", "error"}, TARE_FIELD(s.log.level)));
  add(choice_row({"log", "format", "TARE_LOG_FORMAT", "Lines for people, or one JSON object a line."},
                 std::array<std::string_view, 2>{"text", "json"}, TARE_FIELD(s.log.format)));
  add(text_row({"log", "file", "TARE_LOG_FILE", "A file that is added to. Empty: standard error."}, path + ", or \"\"",
               TARE_FIELD(s.log.file), true));

  add(text_row({"jit", "cache", "TARE_KERNEL_CACHE",
                "A folder for compiled GPU kernels: \"auto\" (this user's cache folder), \"none\", or a path."},
               "\"auto\", \"none\" or a path", TARE_FIELD(s.kernel_cache), false));
  add(size_row({"jit", "cache_size", "", "The most that the folder holds; the least recently used kernels go first."},
               1 << 20, int64_t{1} << 40, TARE_FIELD(s.kernel_cache_bytes)));
  add(list_row(
      {"jit", "compiler", "TARE_NVRTC",
       "Folders with NVRTC 13, CUDA's run-time compiler, that are searched before those of installed toolkits."},
      Kind::paths, "a path or a list of paths", TARE_FIELD(s.compiler_path), true));
  add(text_row({"jit", "sources", "TARE_KERNEL_SOURCES",
                "A checkout of Tare to compile kernels from while developing them. Empty: those built in."},
               path + ", or \"\"", TARE_FIELD(s.kernel_sources), true));

  add(text_row({"tuning", "database", "TARE_TUNING_DATABASE",
                "Measured choices of kernels: \"auto\" (this user's, above those that come with the program), "
                "\"none\", or a path."},
               "\"auto\", \"none\" or a path", TARE_FIELD(s.tuning_database), false));
  add(choice_row(
      {"tuning", "on_miss", "", "What to do for a problem that was never measured: a rule, measure now, or refuse."},
      std::array<std::string_view, 3>{"heuristic", "tune", "fail"}, TARE_FIELD(s.on_miss)));
  add(duration_row({"tuning", "budget", "", "The longest that on_miss = \"tune\" may measure before serving begins."},
                   TARE_FIELD(s.tuning_budget_ms)));
  return rows;
}

}  // namespace tare
