#include "plugins/server_openai/generation_fields.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace tare::server {
namespace {

constexpr size_t kMostStops = 16;

void read_stop(Fields& fields, std::vector<std::string>* out) {
  const Json* json = fields.find("stop");
  if (json == nullptr) return;
  if (const auto* one = json->as<std::string>()) {
    out->push_back(*one);
  } else if (const auto* list = json->as<JsonArray>()) {
    for (const Json& item : *list) {
      const auto* stop = item.as<std::string>();
      if (stop == nullptr) return fields.expected(text("stop[", out->size(), "]"), item, "a string");
      out->push_back(*stop);
    }
  } else {
    return fields.expected("stop", *json, "a string or a list of strings");
  }
  if (out->size() > kMostStops) fields.expected("stop", *json, text("at most ", kMostStops, " strings"));
  for (const std::string& stop : *out)
    if (stop.empty()) fields.fail("stop", "stop holds an empty string, expected at least one character");
}

void read_logit_bias(Fields& fields, std::vector<std::pair<int32_t, float>>* out) {
  const JsonObject* object = fields.object("logit_bias");
  if (object == nullptr) return;
  for (const JsonMember& member : *object) {
    int32_t id = 0;
    const char* end = member.name.data() + member.name.size();
    const auto read = std::from_chars(member.name.data(), end, id);
    if (read.ec != std::errc() || read.ptr != end || id < 0)
      return fields.fail("logit_bias", text("logit_bias has the key ", quoted(member.name), ", expected a token id"));
    const auto bias = member.value.number();
    if (!bias || *bias < -100 || *bias > 100)
      return fields.expected(text("logit_bias.", id), member.value, "a number from -100 to 100");
    out->emplace_back(id, static_cast<float>(*bias));
  }
}

// A number that a model may have a default for.
void read_asked(Fields& fields, std::string_view name, float low, float high, std::optional<float>* out) {
  float value = 0;
  fields.number(name, low, high, &value);
  if (fields.has(name)) *out = value;
}

void read_stream_options(Fields& fields, GenerationFields* out) {
  const JsonObject* object = fields.object("stream_options");
  if (object == nullptr) return;
  if (!out->stream)
    return fields.fail("stream_options", "stream_options is given without stream, expected \"stream\": true beside it");
  Fields options(*object, "stream_options.");
  options.boolean("include_usage", &out->include_usage);
  options.refuse(
      "include_obfuscation", [](const Json& json) { return json.as<bool>() && !*json.as<bool>(); }, "false");
  if (const Refusal refusal = options.finish()) fields.fail("stream_options", refusal->message);
}

}  // namespace

void read_generation_fields(Fields& fields, GenerationFields* out) {
  SamplingParameters& sampling = out->sampling;
  fields.string("model", &out->model);
  fields.require("model");
  fields.boolean("stream", &out->stream);
  read_stream_options(fields, out);
  fields.integer("n", 1, 128, &out->choices);
  SamplingDefaults& asked = out->asked;
  read_asked(fields, "temperature", 0, 2, &asked.temperature);
  read_asked(fields, "top_p", 0, 1, &asked.top_p);
  // OpenAI allows 0, the engine means by top_p a share that is more than nothing: the likeliest token alone.
  if (asked.top_p) asked.top_p = std::max(*asked.top_p, 1e-6f);
  fields.number("frequency_penalty", -2, 2, &sampling.frequency_penalty);
  fields.number("presence_penalty", -2, 2, &sampling.presence_penalty);
  read_logit_bias(fields, &sampling.logit_bias);
  read_stop(fields, &out->stop);
  int64_t seed = 0;
  fields.integer("seed", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), &seed);
  if (fields.has("seed")) sampling.seed = static_cast<uint64_t>(seed);

  // Extensions that other servers have too.
  int32_t top_k = 0;
  fields.integer("top_k", -1, std::numeric_limits<int32_t>::max(), &top_k);
  if (fields.has("top_k")) asked.top_k = std::max(top_k, 0);
  read_asked(fields, "min_p", 0, 1, &asked.min_p);
  read_asked(fields, "repetition_penalty", 0.01f, 10, &asked.repetition_penalty);
  fields.boolean("ignore_eos", &out->ignore_eos);
  fields.boolean("skip_special_tokens", &out->skip_special);
  fields.ids("stop_token_ids", &out->stop_ids);

  fields.accept_string("user");
}

}  // namespace tare::server
