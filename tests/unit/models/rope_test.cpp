// Rotary tables against those that Transformers computes (rope_vectors.json, made by make_rope_vectors.py).
#include "models/blocks/rope.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/unit/models/support.hpp"

namespace tare {
namespace {

// The group `prefix` of a flat config as a config of its own.
Config group(const Config& all, const std::string& prefix) {
  Config::Values out;
  for (auto at = all.values().lower_bound(prefix); at != all.values().end() && at->first.starts_with(prefix); ++at)
    out[at->first.substr(prefix.size())] = at->second;
  return Config(std::move(out));
}
void check_table(const std::vector<float>& found, const std::vector<double>& wanted) {
  REQUIRE(found.size() == wanted.size());
  for (size_t j = 0; j < found.size(); ++j)
    CHECK(std::abs(found[j] - wanted[j]) <= 4e-7 * wanted[j]);  // a few units in the last place: torch's pow is its own
}

}  // namespace

TEST_CASE("tables of every scheme, in both spellings, equal those of Transformers") {
  const Config all = config_of(read_text(TARE_SOURCE_DIR "/tests/unit/models/rope_vectors.json"));
  size_t cases = 0;
  for (; all.has(text("cases.", cases, ".name")); ++cases) {
    const std::string prefix = text("cases.", cases, ".");
    const Config config = group(all, prefix + "config.");
    INFO(all.string(prefix + "name", ""));
    const std::vector<double> wanted = all.numbers(prefix + "frequencies");
    const blocks::Rope rope = blocks::rope_table(config, static_cast<int64_t>(2 * wanted.size()));
    CHECK(config.problems().empty());
    check_table(rope.frequencies, wanted);
    CHECK(rope.magnitude == doctest::Approx(all.get(prefix + "magnitude", 0)).epsilon(1e-7));
  }
  CHECK(cases == 30);
}

TEST_CASE("Gemma 3's two tables: only the one of full layers is stretched") {
  const Config all = config_of(read_text(TARE_SOURCE_DIR "/tests/unit/models/rope_vectors.json"));
  for (const std::string_view json :
       {R"({"rope_theta": 1e6, "rope_local_base_freq": 1e4, "rope_scaling": {"rope_type": "linear", "factor": 8}})",
        R"({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8, "rope_theta": 1e6},
                                "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}})"}) {
    const Config config = config_of(json);
    check_table(blocks::rope_table(config, 32, {.layer_type = "full_attention", .theta = 1e6}).frequencies,
                all.numbers("gemma3.global"));
    check_table(
        blocks::rope_table(
            config, 32,
            {.layer_type = "sliding_attention", .theta_key = "rope_local_base_freq", .theta = 1e4, .scaled = false})
            .frequencies,
        all.numbers("gemma3.local"));
    CHECK(config.problems().empty());
  }
}

TEST_CASE("a GGUF's factors divide the plain table") {
  const Config config = config_of(R"({"rope_theta": 10000, "gguf_rope_freq_factors": [1, 2, 4, 8]})");
  const std::vector<float> plain = blocks::plain_frequencies(10000, 8);
  const blocks::Rope rope = blocks::rope_table(config, 8);
  for (size_t j = 0; j < 4; ++j) CHECK(rope.frequencies[j] == plain[j] / static_cast<float>(1 << j));
}

TEST_CASE("what a table cannot be made of is a problem that names the key") {
  const auto problem = [](std::string_view json) {
    const Config config = config_of(json);
    blocks::rope_table(config, 16);
    return config.problems().empty() ? std::string("none") : config.problems()[0];
  };
  CHECK(problem(R"({"rope_scaling": {"rope_type": "spiral"}})")
            .find("'rope_scaling.rope_type' of rope type \"spiral\"") != std::string::npos);
  CHECK(problem(R"({"rope_scaling": {"rope_type": "linear", "factor": 0}})").find("'rope_scaling.factor'") !=
        std::string::npos);
  CHECK(problem(R"({"rope_scaling": {"rope_type": "longrope", "original_max_position_embeddings": 64,
                    "short_factor": [1, 2]}})")
            .find("'rope_scaling.short_factor' of rope type \"longrope\": expected 8 numbers") != std::string::npos);
  CHECK(problem(R"({"rope_theta": -1})").find("not finite numbers above 0") != std::string::npos);
  CHECK(problem(R"({"partial_rotary_factor": 0.5})").find("partial_rotary_factor") != std::string::npos);
  CHECK(problem(R"({"gguf_rope_freq_factors": [1, 2]})").find("expected 8 numbers") != std::string::npos);
  CHECK(problem(R"({"rope_scaling": null, "rope_theta": 10000})") == "none");
}

}  // namespace tare
