// Settings: what the program was told, as one typed value (docs/formats/config.md). Read from a TOML file and the
// environment in one place, then passed down. Plain values. [any thread]
#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/engine.hpp"
#include "core/api/front_end.hpp"
#include "core/api/status.hpp"
#include "core/base/log.hpp"
#include "core/config/values.hpp"

namespace tare {

enum class Objective : uint8_t { latency, throughput, balanced, memory, mix };
enum class OnMiss : uint8_t { heuristic, tune, fail };

// An amount of a device's memory: a number of bytes, or a share of its total (then bytes is 0).
struct MemoryAmount {
  int64_t bytes = 0;
  double share = 0.9;
  int64_t of(int64_t total_bytes) const noexcept {
    return bytes > 0 ? bytes : static_cast<int64_t>(share * static_cast<double>(total_bytes));
  }
};
struct ModelSettings {
  std::string name;     // absent in the file: the last part of the source, without its ending
  std::string source;   // as written; Settings::resolve makes it a path
  int64_t context = 0;  // tokens; 0: the model's own
  std::string layout;   // code of the linear layers' weights; empty: as the objective has it
  Objective objective = Objective::latency;
  std::vector<BatchShare> mix;         // of Objective::mix
  int64_t memory_bytes = 0;            // 0: no cap beside the device's
  bool generation_config_off = false;  // the checkpoint's generation_config.json does not say how to sample
  SamplingDefaults sampling = {};      // of the file, before those of generation_config.json
};
struct Settings {
  std::string file;       // the TOML file; empty: there is none. Relative paths in it begin at its folder.
  ServerSettings server;  // api_keys are read from api_keys_file by whoever starts the server (read_api_keys)
  std::string api_keys_file;
  std::vector<std::string> plugin_path;  // empty: beside the program
  std::vector<std::string> devices = {"auto"};
  MemoryAmount device_memory;
  int32_t device_threads = 0;  // 0: all cores that this process may use
  bool device_graphs = true;   // decode steps are recorded and played again, where the device can
  bool deterministic = true;
  int32_t max_batch = 64;         // sequences in one step
  int32_t max_step_tokens = 512;  // tokens in one step; longer prompts are taken in chunks
  int32_t queue = 256;            // requests that wait
  LogOptions log;
  std::vector<ModelSettings> models;
  std::string kernel_cache = "auto";  // folder of compiled GPU kernels; "none": not kept
  int64_t kernel_cache_bytes = int64_t{1} << 30;
  std::vector<std::string> compiler_path;  // folders with NVRTC, before the usual ones
  std::string kernel_sources;              // a checkout to compile kernels from instead of the built-in text
  std::string tuning_database = "auto";
  OnMiss on_miss = OnMiss::heuristic;
  int32_t tuning_budget_ms = 60'000;  // most that on_miss = "tune" may measure before a model is served

  std::string resolve(std::string_view path) const;  // a path of the file, seen from the working folder
};

// Looks a variable of the environment up; nothing when it is not set. Passed down, so that tests set their own.
using Environment = std::function<std::optional<std::string>(const char* name)>;
Environment process_environment();  // the only place that looks

// From text; `file` names it in messages and may be empty. Every mistake is one sentence with file, line, key, what was
// found, what was expected, and the nearest valid key.
Result<Settings> parse_settings(std::string_view toml, std::string_view file);
// Environment variables (docs/formats/config.md names them) win over the file.
Status apply_environment(const Environment& environment, Settings* settings);
// parse_settings of a file of at most 1 MiB, then apply_environment; refuses a file with no [[model]].
Result<Settings> load_settings(const std::string& path, const Environment& environment);
// What `tare serve MODEL_PATH` uses: one model, else defaults and the environment.
Result<Settings> settings_for_model(const std::string& model_path, const Environment& environment);

// TOML that parse_settings reads back to the same settings: every key with its value, in the order of the reference.
std::string print_settings(const Settings& settings);
// The Markdown table of all keys, types, defaults, variables and meanings: part of docs/formats/config.md.
std::string settings_reference();

// One key a line; blank lines and lines that begin with '#' are skipped. Refused: a file with no key, a key under 8
// characters or with spaces or control characters in it (named by line, never shown).
Result<std::vector<std::string>> read_api_keys(const std::string& path);

// "latency", "throughput", "balanced", "memory" or "mix:1=0.7,16=0.3" into objective and mix; false: it is none of
// them.
bool parse_objective(std::string_view text, ModelSettings* model);
std::string print_objective(const ModelSettings& model);

// "127.0.0.1:8080", "[::1]:8080", "localhost:0" into host and port.
Status parse_listen(std::string_view text, ServerSettings* server);

// Where this user's files belong (XDG base directories); empty when there is no home.
struct UserFolders {
  std::string data, cache;
};
UserFolders user_folders(const Environment& environment);

}  // namespace tare
