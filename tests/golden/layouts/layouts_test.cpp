// Whatever layout the weights of the linear layers lie in, logits are the same, bit for bit, and so are greedy tokens.
#include <doctest/doctest.h>

#include "tests/golden/layouts/running.hpp"

namespace tare::layouts_test {
namespace {

TEST_CASE("dense, w12 and w11 give the same logits and greedy tokens on every BF16 model") {
  int models = 0;
  for (const std::string& name : golden::case_names(kModels)) {
    auto golden = golden::read_case(kModels / name);
    REQUIRE_MESSAGE(golden.ok(), golden.status().message());
    if (golden->weights_dtype != "bfloat16") continue;
    INFO(name);
    auto dense = load(kModels / name, "dense");
    REQUIRE_MESSAGE(dense.ok(), dense.status().message());
    const Generated want = generate(*dense->model.executor, *golden);
    for (const char* layout : {"w12", "w11"}) {
      INFO(layout);
      auto coded = load(kModels / name, layout);
      REQUIRE_MESSAGE(coded.ok(), coded.status().message());
      int64_t steps = 0;
      for (const PlanStep& step : coded->model.executor->plans().front().steps)
        if (step.problem.first().op == Linear::kOp) {
          CHECK(step.choice.kernel->id().starts_with("linear.cpu_" + std::string(layout)));
          ++steps;
        }
      CHECK(steps > 0);
      CHECK(generate(*coded->model.executor, *golden) == want);
    }
    ++models;
  }
  CHECK(models >= 10);
}

TEST_CASE("a layout that nobody brings is refused with those that there are") {
  const auto running = load(kModels / "llama-plain", "w13");
  REQUIRE_FALSE(running.ok());
  CHECK(running.status().message().starts_with("layout 'w13' is none of those that cpu devices read: "));
  CHECK(running.status().message().find("w12/cpu-tiles") != std::string::npos);
}

}  // namespace
}  // namespace tare::layouts_test
