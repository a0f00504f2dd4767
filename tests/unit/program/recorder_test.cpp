// What the recorder accepts, what it refuses, and how it says so.
#include "core/program/recorder.hpp"

#include <doctest/doctest.h>

#include "core/program/trace.hpp"
#include "tests/unit/program/toy_family.hpp"

namespace tare {
namespace {

// The errors of one straight-line trace.
std::vector<std::string> errors_of(void (*body)(const Config&, Graph&), Config::Values values = {}) {
  const ModelFamily family{
      .id = "test", .architectures = {}, .entries = {{"text", body}}, .config_keys = {}, .gguf = {}};
  return trace_with_errors(family, Config(std::move(values)), {}, builtin_ops()).errors;
}
bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

struct Typo {
  static constexpr std::string_view kOp = "linaer/1";
  static void fields(const Typo&, detail::AttributeWriter) {}
};
const Dim kHidden = 64, kVocab{320, Axis::vocab}, kHeads{4, Axis::heads}, kKv{4, Axis::kv_heads};

}  // namespace

TEST_CASE("a sound model leaves nodes, tied weights, shared tables, states and outputs") {
  const Result<Program> traced = trace(toy::family(), toy::config(), {}, builtin_ops());
  REQUIRE_MESSAGE(traced.ok(), traced.status().message());
  const Program& p = *traced;
  CHECK(p.entries == std::vector<std::string>{"text", "draft"});
  CHECK(p.weights.size() == 1 + 2 * 9 + 1 + 2);  // the table once, though three products and two lookups use it
  CHECK(p.constants.size() == 1);
  REQUIRE(p.states.size() == 2);
  CHECK(p.states[0].kind == full());
  CHECK(p.states[1].kind == window(16));
  CHECK(p.states[1].parts == std::vector<Shape>{{{2, Axis::kv_heads}, 4}, {{2, Axis::kv_heads}, 4}});
  REQUIRE(p.outputs.size() == 3);
  CHECK(p.values[static_cast<size_t>(p.outputs[1].value)].info.dtype == DType::f32);
  CHECK(to_string(p.values[static_cast<size_t>(p.outputs[1].value)].info.shape) == "[logit_rows, 64 vocab]");
  const Node& qkv = p.nodes[2];
  CHECK(qkv.op == "linear/1");
  CHECK(qkv.results.size() == 3);
  REQUIRE(qkv.weights.size() == 6);
  CHECK(p.weights[static_cast<size_t>(qkv.weights[1])].name == "layers.0.attn.q.bias");
  CHECK(qkv.weights[3] == kAbsent);
  CHECK(qkv.layer == 0);
  CHECK(qkv.where.starts_with("toy_family.hpp:"));
  CHECK(p.weights[static_cast<size_t>(qkv.weights[0])].input_dims == 1);
}

TEST_CASE("rotary's width is completed and printed in full") {
  const Result<Program> traced = trace(toy::family(), toy::config(1), {}, builtin_ops());
  REQUIRE(traced.ok());
  CHECK(to_string(traced->nodes[3].attributes) ==
        "{pairs = halves, first = 0, width = 4, frequencies = @0, magnitude = 1.0}");
}

TEST_CASE("several mistakes in one run, each with line, op, weight, wanted and found; none follows from another") {
  const auto errors = errors_of([](const Config& c, Graph& g) {
    Tensor x = g.embed(g.weight("table", {c.count("vocab_size"), kHidden}));
    Tensor bad = g.linear(x, g.weight("q_proj.weight", {kHeads, 16, 48}));
    Tensor after = g.add(bad, g.linear(bad, g.weight("never.weight", {kHidden, 12})));  // silent: poisoned
    Tensor h = g.linear(x, g.weight("k_proj.weight", {kHeads, 16, kHidden}));
    g.linear(h, g.weight("o_proj.weight", {kHidden, kKv, 16}));  // sizes agree, roles do not
    g.weight("table", {7, kHidden});
    g.output("logits", after);
  });
  REQUIRE(errors.size() == 4);
  CHECK(contains(errors[0], "recorder_test.cpp:"));
  CHECK(contains(errors[0], "config.json: 'vocab_size' is missing, expected a number"));
  CHECK(contains(errors[1],
                 "linear/1: sums over the dimensions of x: wanted a weight [.., 64] for x [tokens, 64], "
                 "found q_proj.weight [4 heads, 16, 48]"));
  CHECK(contains(errors[2],
                 "wanted a weight [.., 4 heads, 16] for x [tokens, 4 heads, 16], found o_proj.weight "
                 "[64, 4 kv_heads, 16]"));
  CHECK(contains(errors[3], "weight table: wanted [1, 64] as at recorder_test.cpp:"));
  CHECK(contains(errors[3], "found [7, 64]"));
}

TEST_CASE("the same mistake in every layer is told once, with its count") {
  const auto errors = errors_of([](const Config&, Graph& g) {
    Tensor x = g.embed(g.weight("table", {kVocab, kHidden}));
    for (int64_t i = 0; i < 12; ++i) {
      const Graph l = g.layer(i, "layers");
      l.rms_norm(x, l.weight("norm.weight", {48}), 1e-6f);
    }
    g.output("logits", x);
  });
  REQUIRE(errors.size() == 1);
  CHECK(contains(errors[0],
                 "norm/1 in layers.0.: normalises the trailing dimensions that its weight has: wanted a "
                 "weight like the end of [tokens, 64], found layers.0.norm.weight [48]"));
  CHECK(contains(errors[0], "(12 times"));
}

TEST_CASE("each op's rule refuses what its definition does not cover") {
  const auto refused = [](void (*body)(const Config&, Graph&), std::string_view part) {
    const auto errors = errors_of(body);
    REQUIRE(errors.size() == 1);
    CHECK_MESSAGE(contains(errors[0], part), errors[0]);
  };
  refused(
      [](const Config&, Graph& g) {
        g.output("o", g.embed(g.weight("t", {kVocab, 4, 4})));
      },
      "embed/1: looks tokens up: wanted a table [vocab, hidden], found [320 vocab, 4, 4]");
  refused(
      [](const Config&, Graph& g) {
        Tensor x = g.embed(g.weight("t", {kVocab, 64}));
        Tensor q = g.linear(x, g.weight("q", {kHeads, 16, 64})), k = g.linear(x, g.weight("k", {kKv, 8, 64}));
        g.output("o", g.attention(q, k, k, g.state(full()), Attention{}));
      },
      "attention/1: compares q with k: wanted k ending in 16, found [tokens, 4 kv_heads, 8]");
  refused(
      [](const Config&, Graph& g) {
        Tensor x = g.embed(g.weight("t", {kVocab, 64}));
        Tensor q = g.linear(x, g.weight("q", {kHeads, 16, 64}));
        Tensor k = g.linear(x, g.weight("k", {Dim(3, Axis::kv_heads), 16, 64}));
        g.output("o", g.attention(q, k, k, g.state(full()), Attention{}));
      },
      "shares the kv heads evenly: wanted a divisor of 4 heads, found 3 kv_heads");
  refused(
      [](const Config&, Graph& g) {
        Tensor x = g.embed(g.weight("t", {kVocab, 64}));
        Tensor q = g.linear(x, g.weight("q", {kHeads, 16, 64}));
        g.output("o", g.attention(q, q, q, State{}, Attention{}));
      },
      "keeps what later steps read: wanted a state, found none");
  refused(
      [](const Config&, Graph& g) {
        Tensor x = g.embed(g.weight("t", {kVocab, 64}));
        Tensor q = g.linear(x, g.weight("q", {kHeads, 16, 64}));
        g.output("o", g.rotary(q, Rotary{.frequencies = g.constant({1, 2, 3})}));
      },
      "turns each pair by its frequency: wanted 8 frequencies for width 16, found 3");
  refused(
      [](const Config&, Graph& g) {
        Tensor x = g.embed(g.weight("t", {kVocab, 64}));
        g.output("o", g.add(x, g.linear_f32(x, g.weight("w", {64, 64}))));
      },
      "add/1: adds two of one shape: wanted bf16 [tokens, 64], found f32 [tokens, 64]");
  refused(
      [](const Config&, Graph& g) {
        Tensor x = g.embed(g.weight("t", {kVocab, 64}));
        g.output("o", g.linear(x, {g.weight("w", {48, 64}), g.weight("b", {64})}));
      },
      "adds a bias of the result's shape: wanted [48], found b [64]");
  refused(
      [](const Config&, Graph& g) {
        Tensor x = g.embed(g.weight("t", {kVocab, 64}));
        const State s = g.state(full());
        Tensor q = g.linear(x, g.weight("q", {kHeads, 16, 64}));
        g.attention(q, q, q, s, Attention{});
        g.output("o", g.attention(q, q, q, s, Attention{}));
      },
      "wanted a state of its own");
  refused(
      [](const Config&, Graph& g) {
        g.output("o", g.embed(g.weight("t", {int64_t{1} << 40, int64_t{1} << 40})));
      },
      "at most 2^48 elements");
  refused(
      [](const Config&, Graph& g) {
        g.output("o", g.add(Tensor{}, g.embed(g.weight("t", {kVocab, 64}))));
      },
      "wanted a value of this trace as input 0, found none");
  refused(
      [](const Config&, Graph& g) {
        g.embed(g.weight("t", {kVocab, 64}));
      },
      "entry text: wanted at least one output, found none");
}

TEST_CASE("an op that nobody registered is refused with the nearest known one") {
  const auto errors = errors_of([](const Config&, Graph& g) {
    Tensor x = g.embed(g.weight("t", {kVocab, 64})), out;
    g.record(Typo{}, std::span(&x, 1), {}, {}, std::span(&out, 1));
    g.output("o", out);
  });
  REQUIRE(errors.size() == 1);
  CHECK(contains(errors[0], "unknown op 'linaer/1', the nearest known is 'linear/1'"));
}

TEST_CASE("a family that throws is an error, not the end") {
  const auto errors = errors_of([](const Config&, Graph&) { throw std::runtime_error("out of ideas"); });
  REQUIRE(errors.size() == 1);
  CHECK(contains(errors[0], "entry text of family test threw: out of ideas"));
}

TEST_CASE("an op id belongs to one owner") {
  OpTable table = builtin_ops();
  const Status twice = table.add(*table.find("linear/1"), "org.example");
  CHECK(twice.message() == "op 'linear/1' of org.example is there already, from core");
  CHECK_FALSE(table.add({.op = "linear", .infer = {}}, "org.example").ok());
}

TEST_CASE("weights are found in time that does not grow with their number") {
  const ModelFamily family{.id = "deep",
                           .architectures = {},
                           .entries = {{"text",
                                        [](const Config&, Graph& g) {
                                          Tensor x = g.embed(g.weight("t", {kVocab, 64}));
                                          for (int64_t i = 0; i < 60000; ++i)
                                            x = g.rms_norm(x, g.weight(tare::text("n", i), {64}), 1e-6f);
                                          g.output("o", x);
                                        }}},
                           .config_keys = {},
                           .gguf = {}};
  const Result<Program> traced = trace(family, Config({}), {}, builtin_ops());  // quadratic: 1.8e9 comparisons of names
  REQUIRE(traced.ok());
  CHECK(traced->weights.size() == 60001);
}

}  // namespace tare
