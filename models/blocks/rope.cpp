#include "models/blocks/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tare::blocks {
namespace {

// The parameters of one table, looked up in every spelling.
class Parameters {
 public:
  Parameters(const Fields& c, const RopeKeys& keys, Where at) : c_(c), at_(at) {
    const std::string nested = text("rope_parameters.", keys.layer_type);
    if (!keys.layer_type.empty() && c.has_group(nested))
      group_ = nested;
    else if (keys.scaled && c.has_group("rope_scaling"))
      group_ = "rope_scaling";
    else if (keys.scaled && (c.has("rope_parameters.rope_type") || c.has("rope_parameters.rope_theta")))
      group_ = "rope_parameters";
    theta = has("rope_theta") ? number("rope_theta", 0) : c.get(keys.theta_key, keys.theta, at);
    type = string("rope_type", string("type", "default"));
    max_positions = c.get("max_position_embeddings", 0, at);
    original = c.has("original_max_position_embeddings") ? c.get("original_max_position_embeddings", 0, at)
                                                         : number("original_max_position_embeddings", max_positions);
    context = c.config().get("serving_context", max_positions, at);
    factor = number("factor", original > 0 ? max_positions / original : 0);
  }
  bool has(std::string_view key) const { return !group_.empty() && c_.has(text(group_, ".", key)); }
  double number(std::string_view key, double fallback) const {
    return group_.empty() ? fallback : c_.get(text(group_, ".", key), fallback, at_);
  }
  bool flag(std::string_view key, bool fallback) const {
    return group_.empty() ? fallback : c_.flag(text(group_, ".", key), fallback, at_);
  }
  std::string string(std::string_view key, std::string fallback) const {
    return group_.empty() ? fallback : c_.string(text(group_, ".", key), std::move(fallback), at_);
  }
  std::vector<float> numbers(std::string_view key) const {
    const std::vector<double> wide = group_.empty() ? std::vector<double>{} : c_.numbers(text(group_, ".", key));
    return {wide.begin(), wide.end()};
  }
  bool expect(bool holds, std::string_view key, std::string_view expected) const {
    if (!holds)
      c_.problem(text("'", c_.full(group_.empty() ? key : text(group_, ".", key)), "' of rope type \"", type,
                      "\": expected ", expected),
                 at_);
    return holds;
  }

  double theta = 0, factor = 0, original = 0, max_positions = 0, context = 0;
  std::string type;

 private:
  const Fields& c_;
  Where at_;
  std::string group_;
};

// Stretched positions. Source: kaiokendev, "Extending context to 8K" (superhot).
void linear(const Parameters& p, Rope& rope) {
  if (!p.expect(p.factor > 0, "factor", "a number above 0")) return;
  for (float& f : rope.frequencies) f /= static_cast<float>(p.factor);
}

// A larger base for a longer text. Source: bloc97 and emozilla, "Dynamically scaled RoPE" (NTK-aware).
void dynamic(const Parameters& p, int64_t width, Rope& rope) {
  if (!p.expect(p.factor > 0, "factor", "a number above 0") || p.max_positions <= 0 || width <= 2) return;
  const double length = std::max(p.context, p.max_positions), d = static_cast<double>(width);
  const double stretch = p.factor * length / p.max_positions - (p.factor - 1);
  rope.frequencies = plain_frequencies(p.theta * std::pow(stretch, d / (d - 2)), width);
}

// Slow pairs are stretched, quick ones kept, a ramp between. Source: meta-llama/llama-models, apply_scaling.
void llama3(const Parameters& p, Rope& rope) {
  const double low = p.number("low_freq_factor", 0), high = p.number("high_freq_factor", 0);
  if (!p.expect(p.factor > 0, "factor", "a number above 0") ||
      !p.expect(low > 0, "low_freq_factor", "a number above 0") ||
      !p.expect(high >= low, "high_freq_factor", "a number not below low_freq_factor") ||
      !p.expect(p.original > 0, "original_max_position_embeddings", "a number above 0"))
    return;
  const auto factor = static_cast<float>(p.factor), original = static_cast<float>(p.original);
  const auto longest = static_cast<float>(p.original / low), shortest = static_cast<float>(p.original / high);
  for (float& f : rope.frequencies) {
    const float wavelength = static_cast<float>(2 * std::numbers::pi) / f;
    if (wavelength > longest) {
      f = f / factor;
    } else if (wavelength >= shortest && high > low) {  // high = low (Llama 4): no ramp, nothing to divide by
      const float smooth = (original / wavelength - static_cast<float>(low)) / static_cast<float>(high - low);
      f = (1 - smooth) * f / factor + smooth * f;
    }
  }
}

double yarn_mscale(double scale, double mscale) { return scale <= 1 ? 1 : 0.1 * mscale * std::log(scale) + 1; }

// Ramp by the number of turns inside the trained length. Source: YaRN, arXiv 2309.00071, section 3.
void yarn(const Parameters& p, int64_t width, Rope& rope) {
  if (!p.expect(p.factor > 0, "factor", "a number above 0") ||
      !p.expect(p.original > 0, "original_max_position_embeddings", "a number above 0") ||
      !p.expect(p.theta > 1, "rope_theta", "a number above 1"))
    return;
  const double d = static_cast<double>(width);
  const auto or_default = [&](std::string_view key, double fallback) {
    const double value = p.number(key, fallback);
    return value > 0 ? value : fallback;
  };
  const auto pair_that_turns = [&](double times) {
    return d * std::log(p.original / (times * 2 * std::numbers::pi)) / (2 * std::log(p.theta));
  };
  double low = pair_that_turns(or_default("beta_fast", 32)), high = pair_that_turns(or_default("beta_slow", 1));
  if (p.flag("truncate", true)) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, d - 1);
  if (low == high) high += 0.001;
  const auto factor = static_cast<float>(p.factor);
  for (size_t j = 0; j < rope.frequencies.size(); ++j) {
    const float step = 2 * static_cast<float>(j) / static_cast<float>(width);
    const float kept = 1 / std::pow(static_cast<float>(p.theta), step);
    const float stretched = 1 / (factor * std::pow(static_cast<float>(p.theta), step));
    const float ramp =
        std::clamp((static_cast<float>(j) - static_cast<float>(low)) / static_cast<float>(high - low), 0.0f, 1.0f);
    const float keep = 1 - ramp;
    rope.frequencies[j] = stretched * (1 - keep) + kept * keep;
  }
  const double mscale = p.number("mscale", 0), all_dim = p.number("mscale_all_dim", 0);
  const double magnitude = mscale != 0 && all_dim != 0 ? yarn_mscale(p.factor, mscale) / yarn_mscale(p.factor, all_dim)
                                                       : yarn_mscale(p.factor, 1);
  rope.magnitude = static_cast<float>(p.number("attention_factor", magnitude));
}

// A factor for each pair, found by search; two sets. Source: LongRoPE, arXiv 2402.13753.
void longrope(const Parameters& p, int64_t width, Rope& rope) {
  const bool use_long = p.context > p.original;
  const std::string_view key = use_long ? "long_factor" : "short_factor";
  const std::vector<float> factors = p.numbers(key);
  if (!p.expect(factors.size() == rope.frequencies.size(), key, text(rope.frequencies.size(), " numbers")) ||
      !p.expect(p.original > 1, "original_max_position_embeddings", "a number above 1"))
    return;
  for (size_t j = 0; j < factors.size(); ++j) {
    const float step = 2 * static_cast<float>(j) / static_cast<float>(width);
    rope.frequencies[j] = 1 / (factors[j] * std::pow(static_cast<float>(p.theta), step));
  }
  const double magnitude = p.factor <= 1 ? 1 : std::sqrt(1 + std::log(p.factor) / std::log(p.original));
  rope.magnitude = static_cast<float>(p.number("attention_factor", magnitude));
}

}  // namespace

std::vector<float> plain_frequencies(double theta, int64_t width) {
  std::vector<float> out(static_cast<size_t>(width / 2));
  for (size_t j = 0; j < out.size(); ++j)
    out[j] = 1 / std::pow(static_cast<float>(theta), 2 * static_cast<float>(j) / static_cast<float>(width));
  return out;
}

Rope rope_table(const Fields& c, int64_t width, const RopeKeys& keys, Where at) {
  if (width < 2 || width % 2 != 0 || width > 65536) {
    c.problem(text("head_dim is ", width, ", expected an even number up to 65536 for rotary positions"), at);
    return {.frequencies = std::vector<float>(1, 1.0f)};
  }
  const Parameters p(c, keys, at);
  Rope rope;
  rope.frequencies = plain_frequencies(p.theta, width);
  const std::vector<double> gguf = c.numbers("gguf_rope_freq_factors");
  p.expect(p.number("partial_rotary_factor", c.get("partial_rotary_factor", 1, at)) == 1, "partial_rotary_factor",
           "1 or none: this family turns whole heads");
  p.expect(c.get("gguf_rope_dimension_count", static_cast<double>(width), at) == static_cast<double>(width),
           "gguf_rope_dimension_count", "the head's width: this family turns whole heads");
  if (!gguf.empty()) {
    if (p.expect(gguf.size() == rope.frequencies.size(), "gguf_rope_freq_factors",
                 text(rope.frequencies.size(), " numbers")))
      for (size_t j = 0; j < gguf.size(); ++j) rope.frequencies[j] /= static_cast<float>(gguf[j]);
  } else if (p.type == "linear") {
    linear(p, rope);
  } else if (p.type == "dynamic") {
    dynamic(p, width, rope);
  } else if (p.type == "llama3") {
    llama3(p, rope);
  } else if (p.type == "yarn") {
    yarn(p, width, rope);
  } else if (p.type == "longrope" || p.type == "su") {
    longrope(p, width, rope);
  } else {
    p.expect(p.type == "default" || p.type == "none", "rope_type",
             "one of default, linear, dynamic, llama3, yarn, longrope");
  }
  if (!std::ranges::all_of(rope.frequencies, [](float f) { return std::isfinite(f) && f > 0; }) ||
      !std::isfinite(rope.magnitude))
    c.problem(text("rotary frequencies of theta ", p.theta, ", factor ", p.factor, " and type \"", p.type,
                   "\" are not finite numbers above 0"),
              at);
  return rope;
}

}  // namespace tare::blocks
