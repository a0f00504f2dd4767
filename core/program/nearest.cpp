#include "core/program/nearest.hpp"

#include <algorithm>
#include <exception>
#include <set>

#include "core/base/nearest.hpp"
#include "core/base/printable.hpp"

namespace tare {
namespace {

// Keys that say nothing of the architecture: any config may have them.
constexpr std::string_view kHarmless[] = {
    "architectures", "model_type",    "torch_dtype",         "dtype",          "transformers_version",
    "bos_token_id",  "eos_token_id",  "pad_token_id",        "use_cache",      "initializer_range",
    "auto_map",      "_name_or_path", "quantization_config", "serving_context"};

// "rope_scaling.factor" -> "rope_scaling"
std::set<std::string> top_keys(const Config& config) {
  std::set<std::string> out;
  for (const auto& [key, value] : config.values()) {
    const std::string top = key.substr(0, key.find('.'));
    if (std::ranges::find(kHarmless, top) == std::end(kHarmless)) out.insert(top);
  }
  return out;
}

// Records nothing: a trace over it leaves only what the family asked of the config.
class DeafRecorder final : public Recorder {
 public:
  Weight weight(std::string, Shape, Part, int32_t, Where) override { return {kPoison}; }
  Constant constant(std::vector<float>) override { return {kPoison}; }
  State state(std::string, StateKind) override { return {kPoison}; }
  Tensor input(int32_t, std::string_view, Shape) override { return {kPoison}; }
  void output(int32_t, std::string_view, Tensor, Where) override {}
  void record(const Call&, std::span<Tensor> results) override { std::ranges::fill(results, Tensor{kPoison}); }
  void error(Where, std::string) override {}
};

// The config's problems in the eyes of the family, without the places in the model's source.
std::vector<std::string> problems_of(const ModelFamily& family, const Config& config) {
  const Config copy(config.values());
  DeafRecorder recorder;
  Graph graph(recorder, 0);
  try {
    for (const Entry& entry : family.entries)
      if (entry.trace != nullptr && entry.name == "text") entry.trace(copy, graph);
  } catch (const std::exception&) {  // a plugin's code, on a config that is not its own
  }
  std::vector<std::string> out;
  for (const std::string& problem : copy.problems()) {
    constexpr std::string_view kPlace = "config.json: ";
    const size_t at = problem.find(kPlace);
    std::string sentence = at == std::string::npos ? problem : problem.substr(at + kPlace.size());
    if (std::ranges::find(out, sentence) == out.end()) out.push_back(std::move(sentence));
  }
  return out;
}

NearestFamily compare(const Config& config, const ModelFamily& family, std::string_view architecture) {
  NearestFamily out;
  out.family = &family;
  size_t least = 0;
  for (const std::string& known : family.architectures)
    if (const size_t distance = edit_distance(architecture, known); out.architecture.empty() || distance < least) {
      least = distance;
      out.architecture = known;
    }
  for (const std::string& key : top_keys(config))
    if (std::ranges::find(family.config_keys, key) == family.config_keys.end()) out.unknown.push_back(key);
  // As if the checkpoint were one of the family's: what it reads may depend on the architecture.
  Config::Values values = config.values();
  std::erase_if(values, [](const auto& entry) { return entry.first.starts_with("architectures."); });
  values["architectures.0"] = out.architecture;
  out.missing = problems_of(family, Config(std::move(values)));
  return out;
}

std::string list(const std::vector<std::string>& items, std::string_view quote) {
  std::string out;
  for (size_t i = 0; i < items.size() && i < 12; ++i)
    out += text(i == 0 ? "" : ", ", quote, printable(items[i], 120), quote);
  if (items.size() > 12) out += text(" and ", items.size() - 12, " more");
  return out;
}
std::string architecture_of(const Config& config) {
  const std::vector<std::string> all = config.strings("architectures");
  return all.empty() ? std::string() : all[0].substr(0, 128);
}

}  // namespace

NearestFamily nearest_family(const Config& config, std::span<const ModelFamily* const> families) {
  const std::string architecture = architecture_of(config);
  NearestFamily best;
  const auto rank = [&](const NearestFamily& n) {
    return std::tuple(n.unknown.size() + n.missing.size(), edit_distance(architecture, n.architecture));
  };
  for (const ModelFamily* family : families) {
    NearestFamily found = compare(config, *family, architecture);
    if (best.family == nullptr || rank(found) < rank(best)) best = std::move(found);
  }
  return best;
}

Status unknown_architecture(const Config& config, std::span<const ModelFamily* const> families) {
  const std::string architecture = architecture_of(config);
  const std::string found = architecture.empty() ? "config.json names no architecture"
                                                 : text("architecture '", printable(architecture, 80), "' is unknown");
  const NearestFamily nearest = nearest_family(config, families);
  if (nearest.family == nullptr) return {Code::unsupported, found + ", and no model plugin is loaded"};
  std::string out = text(found, "; the nearest known family is ", nearest.family->id, " (", nearest.architecture, ")");
  if (!nearest.unknown.empty()) out += text("; it does not know the config's ", list(nearest.unknown, "'"));
  if (!nearest.missing.empty()) out += text("; it would miss: ", list(nearest.missing, ""));
  if (nearest.unknown.empty() && nearest.missing.empty())
    out += ", whose config has the same fields: the weights may differ";
  return {Code::unsupported, std::move(out)};
}

}  // namespace tare
