// One rank's Program for 1, 2, 4 and 8 ranks, on shapes.
#include "core/program/distribute.hpp"

#include <doctest/doctest.h>

#include "core/program/ledger_of.hpp"
#include "core/program/listing.hpp"
#include "core/program/program_text.hpp"
#include "tests/unit/models/configs.hpp"
#include "tests/unit/models/support.hpp"

namespace tare {
namespace {

Program whole(std::string_view config) {
  Result<Program> program = trace_text(config);
  REQUIRE_MESSAGE(program.ok(), program.status().message());
  return std::move(program).value();
}
Program ranks(std::string_view config, int64_t count) {
  Result<Program> program = distribute(whole(config), {.ranks = count}, builtin_ops());
  REQUIRE_MESSAGE(program.ok(), program.status().message());
  return std::move(program).value();
}
std::string shape_of(const Program& program, std::string_view weight) {
  for (const WeightDecl& w : program.weights)
    if (w.name == weight) return to_string(w.shape);
  return "none";
}
int64_t collectives(const Program& program, std::string_view op) {
  int64_t count = 0;
  for (const Node& node : program.nodes) count += node.op == op;
  return count;
}
std::string with(std::string json, std::string_view from, std::string_view to) {
  return json.replace(json.find(from), from.size(), to);
}

}  // namespace

TEST_CASE("one rank is the Program itself") {
  const Program program = whole(configs::kLlama31_8b);
  const Result<Program> one = distribute(program, {.ranks = 1}, builtin_ops());
  REQUIRE(one.ok());
  CHECK(print_program(*one) == print_program(program));
}

TEST_CASE("llama 3.1 8B over 2, 4 and 8 ranks: shares by role, two sums a layer, one for the table, one gather") {
  for (const int64_t n : {2, 4, 8}) {
    const Program program = ranks(configs::kLlama31_8b, n);
    CHECK(shape_of(program, "model.layers.3.self_attn.q_proj.weight") == text("[", 32 / n, " heads, 128, 4096]"));
    CHECK(shape_of(program, "model.layers.3.self_attn.k_proj.weight") == text("[", 8 / n, " kv_heads, 128, 4096]"));
    CHECK(shape_of(program, "model.layers.3.self_attn.o_proj.weight") == text("[4096, ", 32 / n, " heads, 128]"));
    CHECK(shape_of(program, "model.layers.3.mlp.down_proj.weight") == text("[4096, ", 14336 / n, " ffn]"));
    CHECK(shape_of(program, "model.layers.3.input_layernorm.weight") == "[4096]");
    CHECK(shape_of(program, "lm_head.weight") == text("[", 128256 / n, " vocab, 4096]"));
    CHECK(collectives(program, "all_reduce/1") == 2 * 32 + 1);
    CHECK(collectives(program, "all_gather/1") == 1);
    const ProgramLedger ledger = ledger_of(program);
    CHECK(ledger.states[0].bytes_per_token == 2 * 8 / n * 128 * 2);
    // Problems are those of a rank.
    CHECK(to_string(ledger.problems[0].problem) == text("bf16 N=", 6144 / n, " (3 parts) K=4096"));
    CHECK(to_string(ledger.problems[3].problem) == text("bf16 N=4096 K=", 14336 / n));
    // Norms (65 of 4096) stay whole, all else is shared evenly.
    CHECK(ledger.parameters == (8030261248 - 65 * 4096) / n + 65 * 4096);
    const OutputDecl& logits = program.outputs[0];
    CHECK(to_string(program.values[static_cast<size_t>(logits.value)].info.shape) == "[logit_rows, 128256 vocab]");
    CHECK(logits.name == "logits");
  }
}

TEST_CASE("values are in order and every index is valid on each rank") {
  const Program program = ranks(configs::kQwen3_8b, 4);
  std::vector<char> made(program.values.size(), 0);
  for (const Node& node : program.nodes) {
    for (int32_t v : node.inputs) CHECK(made[static_cast<size_t>(v)] == 1);
    for (int32_t v : node.results) made[static_cast<size_t>(v)] = 1;
  }
  CHECK(print_program(program).starts_with("tare-program 1\ndtype bf16\nranks 4\n"));
  CHECK_FALSE(parse_program(print_program(program), builtin_ops()).ok());
}

TEST_CASE("fewer kv heads than ranks: ranks hold copies") {
  const Program program = ranks(configs::kGemma3_4b, 8);  // 8 heads, 4 kv heads
  CHECK(shape_of(program, "language_model.model.layers.0.self_attn.q_proj.weight") == "[1 heads, 256, 2560]");
  CHECK(shape_of(program, "language_model.model.layers.0.self_attn.k_proj.weight") == "[1 kv_heads, 256, 2560]");
  const Distribution eight{.ranks = 8};
  std::string begins;
  for (int64_t rank = 0; rank < 8; ++rank) begins += text(first_of_rank({4, Axis::kv_heads}, eight, rank), " ");
  CHECK(begins == "0 0 1 1 2 2 3 3 ");
  CHECK(first_of_rank({32, Axis::heads}, eight, 3) == 12);
  CHECK(first_of_rank({4096, Axis::plain}, eight, 3) == 0);
}

TEST_CASE("what does not divide is refused by name, all of it in one run") {
  const Result<Program> three = distribute(whole(configs::kSmolLm2_135m), {.ranks = 2}, builtin_ops());
  REQUIRE_FALSE(three.ok());
  const std::string& message = three.status().message();
  CHECK(
      message.find("weight model.layers.0.self_attn.q_proj.weight [9 heads, 64, 576]: wanted 9 heads to divide over 2 "
                   "ranks") != std::string::npos);
  CHECK(message.find("weight model.layers.29.self_attn.k_proj.weight [3 kv_heads, 64, 576]: wanted 3 kv_heads") !=
        std::string::npos);
  CHECK_FALSE(distribute(whole(configs::kLlama31_8b), {.ranks = 0}, builtin_ops()).ok());
}

TEST_CASE("biases behind a sum over ranks count once; those beside shares are shared") {
  const std::string config = with(std::string(configs::kLlama31_8b), "\"rms_norm_eps\"",
                                  "\"attention_bias\": true, \"mlp_bias\": true, \"rms_norm_eps\"");
  const Program program = ranks(config, 4);
  for (const WeightDecl& w : program.weights) {
    const bool summed = w.name.ends_with("o_proj.bias") || w.name.ends_with("down_proj.bias");
    CHECK_MESSAGE(w.first_rank_only == summed, w.name);
  }
  CHECK(shape_of(program, "model.layers.0.self_attn.q_proj.bias") == "[8 heads, 128]");
}

TEST_CASE("a partial sum stays partial through add: parallel blocks meet in one collective") {
  const ModelFamily family{
      .id = "parallel",
      .architectures = {},
      .entries = {{"text",
                   [](const Config&, Graph& g) {
                     const Dim hidden = 64, ffn{128, Axis::ffn}, vocab{320, Axis::vocab};
                     Tensor x = g.embed(g.weight("t", {vocab, hidden}));
                     Tensor h = g.activate(g.linear(x, g.weight("a", {ffn, hidden})), Activation::silu);
                     Tensor left = g.linear(h, g.weight("b", {hidden, ffn}));
                     Tensor right = g.linear(h, g.weight("c", {hidden, ffn}));
                     g.output("o", g.add(x, g.add(left, right)));
                   }}},
      .config_keys = {},
      .gguf = {}};
  const Result<Program> traced = trace(family, Config({}), {}, builtin_ops());
  REQUIRE(traced.ok());
  const Result<Program> program = distribute(*traced, {.ranks = 4}, builtin_ops());
  REQUIRE_MESSAGE(program.ok(), program.status().message());
  CHECK(collectives(*program, "all_reduce/1") == 2);  // the table's, and one for both products
  const Result<Program> only_ffn = distribute(*traced, {.ranks = 4, .cut = {Axis::ffn}}, builtin_ops());
  REQUIRE(only_ffn.ok());
  CHECK(collectives(*only_ffn, "all_reduce/1") == 1);
  CHECK(collectives(*only_ffn, "all_gather/1") == 0);
}

TEST_CASE("a norm over heads that ranks share is refused, and so are heads cut without their kv heads") {
  const ModelFamily family{.id = "olmo",
                           .architectures = {},
                           .entries = {{"text",
                                        [](const Config&, Graph& g) {
                                          const Dim hidden = 64, heads{4, Axis::heads}, vocab{320, Axis::vocab};
                                          Tensor x = g.embed(g.weight("t", {vocab, hidden}));
                                          Tensor q = g.linear(x, g.weight("q", {heads, 16, hidden}));
                                          g.output("o", g.rms_norm(q, g.weight("n", {heads, 16}), 1e-6f));
                                        }}},
                           .config_keys = {},
                           .gguf = {}};
  const Result<Program> traced = trace(family, Config({}), {}, builtin_ops());
  REQUIRE(traced.ok());
  const Result<Program> program = distribute(*traced, {.ranks = 2}, builtin_ops());
  REQUIRE_FALSE(program.ok());
  CHECK(program.status().message().find("norm/1: normalises over [tokens, 4 heads, 16]: wanted dimensions that every "
                                        "rank holds whole") != std::string::npos);
  const Result<Program> heads_only =
      distribute(whole(configs::kLlama31_8b), {.ranks = 2, .cut = {Axis::heads}}, builtin_ops());
  REQUIRE_FALSE(heads_only.ok());
  CHECK(heads_only.status().message().find("wanted both roles cut or neither") != std::string::npos);
}

TEST_CASE("a distributed Program is printed for people") {
  const std::string shown = listing(ranks(configs::kLlama31_8b, 8));
  CHECK(shown.find("parameters on each of 8 ranks") != std::string::npos);
  CHECK(shown.find("= all_reduce/1(") != std::string::npos);
  CHECK(shown.find("-> bf16 [tokens, 4 heads, 128]") != std::string::npos);
}

}  // namespace tare
