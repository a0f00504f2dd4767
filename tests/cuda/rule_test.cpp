// Which config a product gets before anything was measured: of a stack one that all its matrices take, so that they run
// in one launch, and whose tiles fill the device in few rounds. Needs no GPU.
#include <doctest/doctest.h>

#include <algorithm>
#include <tuple>

#include "plugins/linear/cuda/catalog.hpp"
#include "plugins/linear/cuda/fused_instance.hpp"
#include "plugins/linear/cuda/work.hpp"

using namespace tare;
using namespace tare::linear_cuda;

namespace {

constexpr int32_t kUnits = 132;

LinearProblem stack(std::vector<int64_t> rows, int64_t columns, DType result = DType::bf16) {
  LinearProblem out;
  for (const int64_t n : rows) {
    LinearProblem::Part part;
    part.weight.name = "w", part.weight.shape = {Dim(n), Dim(columns)}, part.weight.input_dims = 1;
    part.result = result, part.position = out.parts.size();
    out.parts.push_back(std::move(part));
  }
  return out;
}
std::vector<MatrixShape> shapes_of(const LinearProblem& problem) {
  std::vector<MatrixShape> out;
  for (const auto& part : problem.parts) out.push_back(expected_shape(part.weight));
  return out;
}
AnyConfig rule(const LinearProblem& problem, int32_t tokens) {
  const auto all = configs_for(problem, tokens, kUnits, "sm_90a");
  REQUIRE_FALSE(all.empty());
  return all.front();
}
// Rounds in which the device runs all pieces of a launch.
int64_t rounds(const AnyConfig& config, const LinearProblem& problem, int32_t tokens) {
  int64_t pieces = 0, blocks = 1;
  for (const MatrixShape& m : shapes_of(problem)) {
    const Work work = work_of(config, m, tokens);
    pieces += work.pieces, blocks = work.blocks;
  }
  const int64_t slots = kUnits / blocks;
  return (pieces + slots - 1) / slots;
}

}  // namespace

TEST_CASE("q, k and v run by one config, which all of them take") {
  for (const auto& problem : {stack({4096, 1024, 1024}, 4096), stack({896, 128, 128}, 896)})
    for (const int32_t tokens : {1, 16, 48, 64, 128, 256, 512, 1024, 4096}) {
      const AnyConfig config = rule(problem, tokens);
      for (const MatrixShape& m : shapes_of(problem))
        CHECK_MESSAGE(accepts(config, m, tokens, kUnits), label(config), " at ", tokens, " tokens, ", m.order.rows);
      CHECK_FALSE_MESSAGE(std::holds_alternative<PortableConfig>(config), tokens, " tokens");
    }
}

TEST_CASE("keys and values have as many leaves as the queries of their model, so that they go in one launch") {
  struct Model {
    int64_t q, kv, hidden;
  };
  for (const Model& m : {Model{4096, 1024, 4096}, {8192, 1024, 8192}, {8192, 1024, 5120}, {5120, 1024, 5120}}) {
    const auto shapes = shapes_of(stack({m.q, m.kv, m.kv}, m.hidden));
    CHECK_MESSAGE(shapes[0].leaves == shapes[1].leaves, m.q, " and ", m.kv, " of ", m.hidden);
  }
}

TEST_CASE("gate and up are one launch up to 32 rows, and only they are") {
  LinearProblem gate_up = stack({14336, 14336}, 4096);
  gate_up.epilogue = Epilogue::kSilu;
  for (const int32_t tokens : {1, 8, 16, 32}) {
    CHECK(is_gated(rule(gate_up, tokens)));
    CHECK_FALSE(is_gated(rule(stack({14336, 14336}, 4096), tokens)));
  }
  CHECK_FALSE(is_gated(rule(gate_up, 33)));
  for (const int32_t rows : {1024, 2048, 4096, 12288, 14336, 25600, 28672})
    CHECK_FALSE(gated_candidates(shapes_of(stack({rows}, 4096))[0], 8, kUnits, "sm_90a").empty());
}

TEST_CASE("where no fast kernel takes all of a stack, the largest matrix has its own choice") {
  const LinearProblem problem = stack({8192, 2048, 2048}, 8192);  // two leaves and four
  for (const int32_t tokens : {1, 16, 32}) CHECK(std::holds_alternative<StripConfig>(rule(problem, tokens)));
  for (const int32_t tokens : {128, 256, 1024}) CHECK(std::holds_alternative<WideConfig>(rule(problem, tokens)));
}

TEST_CASE("a stack is one round where its tiles allow it, though its largest matrix alone would be split finer") {
  const LinearProblem qkv = stack({4096, 1024, 1024}, 4096), q = stack({4096}, 4096);
  for (const int32_t tokens : {48, 64, 128, 256, 512}) CHECK(rounds(rule(qkv, tokens), qkv, tokens) == 1);
  CHECK(rule(qkv, 64) != rule(q, 64));
}

TEST_CASE("a tile's leaves go to several clusters only where tiles are few") {
  const auto spreads = [](const AnyConfig& config) {
    const auto* wide = std::get_if<WideConfig>(&config);
    return wide != nullptr && wide->shares > 1 && wide->rest_leaves == 0;
  };
  const LinearProblem down = stack({4096}, 14336), gate_up = stack({14336, 14336}, 4096);
  CHECK(spreads(rule(down, 256)));
  CHECK(spreads(rule(down, 512)));
  for (const int32_t tokens : {256, 512, 1024}) CHECK_FALSE(spreads(rule(gate_up, tokens)));
}

TEST_CASE("a last round of few tiles is shared, of one matrix and of a stack") {
  const LinearProblem qkv = stack({6144}, 4096), apart = stack({4096, 1024, 1024}, 4096);
  for (const LinearProblem& problem : {qkv, apart}) {
    const AnyConfig config = rule(problem, 1024);
    const auto* wide = std::get_if<WideConfig>(&config);
    REQUIRE(wide != nullptr);
    CHECK_MESSAGE(wide->rest_leaves > 0, label(config));
    std::vector<Work> works;
    int64_t groups = 0;
    for (const MatrixShape& m : shapes_of(problem)) {
      CHECK(accepts(config, m, 1024, kUnits));
      works.push_back(work_of(config, m, 1024));
    }
    const Rounds rounds = fewest_rounds(works, kUnits / 2);
    CHECK(rounds.whole == 1);
    CHECK(rounds.rest);
    for (const Work& work : works) groups += groups_for(work, rounds);
    CHECK(groups <= kUnits / 2);
  }
  // Two of 48 tiles each, which are a round alone and together one and a half.
  CHECK(std::get<WideConfig>(rule(stack({6144, 6144}, 4096), 512)).rest_leaves == 1);
  // Where the last round is full, or its tiles are too many to be shared, tiles stay whole.
  for (const int32_t tokens : {1024, 2048, 4096}) {
    const AnyConfig config = rule(stack({4096}, 4096), tokens);
    CHECK_MESSAGE(std::get<WideConfig>(config).rest_leaves == 0, label(config), ", ", tokens, " tokens");
  }
}

TEST_CASE("the rule's first choice is what was fastest on an H100") {
  struct Measured {
    int64_t rows, columns;
    int32_t tokens;
    WideConfig best;  // what follows from the matrix, stages and the way of copying aside
  };
  const WideConfig whole{.tokens = 256}, narrow{.tokens = 128, .chunks = 2}, three{.tokens = 128, .row_groups = 3};
  const auto by = [](WideConfig c, int32_t shares, int32_t rest_leaves = 0) {
    c.shares = shares, c.rest_leaves = rest_leaves;
    return c;
  };
  for (const Measured& m : {Measured{6144, 4096, 256, by(whole, 2)},
                            {6144, 4096, 512, three},
                            {6144, 4096, 1024, by(whole, 2, 1)},
                            {6144, 4096, 1536, by(whole, 2, 1)},

                            {4096, 4096, 512, narrow},
                            {4096, 4096, 1024, whole},
                            {4096, 4096, 1536, by(whole, 2, 2)},
                            {4096, 14336, 256, by(whole, 4)},
                            {4096, 14336, 512, by(whole, 2)},
                            {4096, 14336, 1024, whole},
                            {4096, 14336, 1536, by(whole, 2, 2)}}) {
    const AnyConfig config = rule(stack({m.rows}, m.columns), m.tokens);
    const auto* found = std::get_if<WideConfig>(&config);
    CHECK_MESSAGE(found != nullptr, m.rows, " x ", m.columns, ", ", m.tokens, " tokens: ", label(config));
    if (found == nullptr) continue;
    CHECK_MESSAGE(std::tie(found->tokens, found->row_groups, found->chunks, found->shares, found->rest_leaves) ==
                      std::tie(m.best.tokens, m.best.row_groups, m.best.chunks, m.best.shares, m.best.rest_leaves),
                  m.rows, " x ", m.columns, ", ", m.tokens, " tokens: ", label(config));
  }
}

TEST_CASE("as many groups as a last round is shared by are enough for it, by the kernel's own count") {
  for (const int32_t shares : {2, 4}) {
    for (const int64_t limit : {8, 66, 72}) {
      for (int64_t pieces = 1; pieces < 400; ++pieces) {
        const Work work{.pieces = pieces, .rest_shares = shares};
        const Rounds rounds = fewest_rounds({&work, 1}, limit);
        const int64_t groups = groups_for(work, rounds);
        REQUIRE(groups >= 1);
        REQUIRE(groups <= limit);
        const int64_t whole = pieces / groups, rest = pieces % groups;
        const bool shared = rest * shares <= groups;  // as RestSchedule in wide_schedule.cuh
        const int64_t parts = whole * shares + (rest == 0 ? 0 : shared ? 1 : shares);
        CHECK(parts <= rounds.whole * shares + (rounds.rest ? 1 : 0));
      }
    }
  }
}

TEST_CASE("f32 results keep to kernels that write them, and sizes that few kernels take still get one of their own") {
  for (const int32_t tokens : {64, 256, 2048}) {
    CHECK(writes_f32(rule(stack({4096}, 4096, DType::f32), tokens)));
    CHECK(std::holds_alternative<ClusterConfig>(rule(stack({576}, 576), tokens)));
  }
}

TEST_CASE("flags are counted for what waits for others alone") {
  const MatrixShape m = shapes_of(stack({4096}, 4096)).front();
  REQUIRE(m.leaves == 4);
  WideConfig wide{.tokens = 256, .sum_leaves = true, .shares = 2};
  // Tiles of rows and of tokens, shares on both sides, blocks, groups, bytes.
  CHECK(flag_bytes(wide, m, 512, kUnits) == 16 * 2 * 2 * 2 * 2 * 2 * 4);
  wide.rest_leaves = 2;  // as many at every number of tokens: of what a last round can hold
  CHECK(flag_bytes(wide, m, 512, kUnits) == 33 * 2 * 2 * 2 * 2 * 4);
  CHECK(flag_bytes(wide, m, 4096, kUnits) == flag_bytes(wide, m, 512, kUnits));
  wide.rest_leaves = 0, wide.shares = 1;
  CHECK(flag_bytes(wide, m, 512, kUnits) == 0);
  CHECK(flag_bytes(StreamConfig{.tokens = 128, .row_groups = 2}, m, 200, kUnits) == 32 * 2 * 4);
  CHECK(flag_bytes(ClusterConfig{}, m, 64, kUnits) == 0);
}
