#include "plugins/embedding/embedding.hpp"

#include "tests/unit/small_ops/case.hpp"

namespace tare::embedding {
namespace {
using namespace small_ops;

struct Setup {
  Setup(DType table_type, int64_t hidden, std::string_view layout, std::vector<int32_t> tokens)
      : table(table_type, 50, hidden, layout), ids(std::move(tokens)) {
    c.op = "embed/1", c.attributes = to_attributes(Embed{});
    c.weights = {&table};
    c.step.token_ids = ids.data(), c.step.num_tokens = std::ssize(ids);
  }
  PlainWeight table;
  std::vector<int32_t> ids;
  Case c;
};

TEST_CASE("the fast embedding gives the oracle's bits from any layout and type, with any number of threads") {
  auto one = open_cpu(1), five = open_cpu(5);
  const auto all = candidates();
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 300; ++i) ids.push_back(i * 7 % 50);
  for (const int64_t hidden : widths())
    for (const DType from : {DType::bf16, DType::f32})
      for (const DType to : {DType::bf16, DType::f32})
        for (const std::string_view layout : {"dense/rows", "other/order"}) {
          CAPTURE(hidden);
          Setup s(from, hidden, layout, ids);
          RowsOf want = s.c.run(*one, *all[1], RowsOf(to, 300, {hidden}));
          CHECK(s.c.run(*one, *all[0], RowsOf(to, 300, {hidden})).bytes() == want.bytes());
          CHECK(s.c.run(*five, *all[0], RowsOf(to, 300, {hidden})).bytes() == want.bytes());
          Setup alone(from, hidden, layout, {ids[123]});
          CHECK(alone.c.run(*five, *all[0], RowsOf(to, 1, {hidden})).row_bytes(0) == want.row_bytes(123));
        }
}

TEST_CASE("an id outside the vocabulary is named") {
  auto device = open_cpu(2);
  for (const auto& candidate : candidates())
    for (const int32_t bad : {-1, 50}) {
      Setup s(DType::bf16, 8, "dense/rows", {3, bad});
      RowsOf out(DType::bf16, 2, {8});
      auto instance = s.c.instance(*device, *candidate, out);
      CHECK(s.c.launch(*device, *instance, out).message() ==
            text("token id ", bad, " lies outside the vocabulary of 50"));
    }
}

}  // namespace
}  // namespace tare::embedding
