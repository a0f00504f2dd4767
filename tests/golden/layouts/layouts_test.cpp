// Whatever layout the weights of the linear layers lie in, logits are the same, bit for bit, and so are greedy tokens.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "core/app/model.hpp"
#include "core/base/log.hpp"
#include "tests/golden/support/golden.hpp"

namespace tare {
namespace {

const std::filesystem::path kModels = TARE_SOURCE_DIR "/tests/golden/models";

const Host& host() {
  static const std::unique_ptr<Host> instance = Host::open({}, std::move(*make_log({})));
  return *instance;
}

struct Running {
  std::unique_ptr<Device> device;
  LoadedModel model;
};
Result<Running> load(const std::filesystem::path& path, const std::string& layout) {
  TARE_ASSIGN_OR_RETURN(auto device, host().open_device("cpu", {.threads = 2, .memory_bytes = int64_t{1} << 30}));
  TARE_ASSIGN_OR_RETURN(auto description,
                        describe_model(host(), path.string(), {.weights = true, .dtype = {}, .context = 64}));
  LoadOptions options;
  options.max_step_tokens = options.max_sequences = 64;
  options.layout = layout;
  TARE_ASSIGN_OR_RETURN(auto planned,
                        plan_model(host(), std::move(description), device->info(), int64_t{1} << 30, options));
  TARE_ASSIGN_OR_RETURN(auto model, load_model(host(), std::move(planned), *device, options));
  return Running{std::move(device), std::move(model)};
}

StepInput step_of(const ExecutorLimits& limits, std::span<const int32_t> tokens, int32_t position) {
  StepInput step;
  for (size_t t = 0; t < tokens.size(); ++t) {
    step.token_ids.push_back(tokens[t]);
    step.positions.push_back(position + static_cast<int32_t>(t));
    step.logit_row_tokens.push_back(static_cast<int32_t>(t));
    step.sampling.emplace_back().temperature = 0;
  }
  const auto end = static_cast<int32_t>(position + tokens.size());
  step.sequence_begin.push_back(static_cast<int32_t>(tokens.size()));
  step.context_lengths.push_back(end);
  for (const StateGroupLimits& g : limits.groups) {
    PageTableInput table{.stride = (limits.context + g.page_tokens - 1) / g.page_tokens, .pages = {}};
    for (int32_t p = 0; p < table.stride; ++p) table.pages.push_back(p * g.page_tokens < end ? p : -1);
    step.page_tables.push_back(std::move(table));
  }
  return step;
}

// Logits of the prompt in one step, then 16 greedy tokens one by one.
struct Generated {
  std::vector<float> logits;
  std::vector<int32_t> tokens;
  bool operator==(const Generated& o) const {
    return tokens == o.tokens && logits.size() == o.logits.size() &&
           std::memcmp(logits.data(), o.logits.data(), logits.size() * sizeof(float)) == 0;
  }
};
Generated generate(PlanExecutor& executor, const golden::GoldenCase& golden) {
  Generated out;
  std::vector<int32_t> next(golden.prompt.begin(), golden.prompt.end());
  for (int32_t position = 0, turn = 0; turn < 17; ++turn) {
    const auto step = executor.run(step_of(executor.limits(), next, position));
    REQUIRE_MESSAGE(step.ok(), step.status().message());
    const auto logits = executor.logits();
    REQUIRE_MESSAGE(logits.ok(), logits.status().message());
    out.logits.insert(out.logits.end(), logits->begin(), logits->end());
    position += static_cast<int32_t>(next.size());
    const auto row = logits->end() - static_cast<std::ptrdiff_t>(golden.vocab);
    next = {static_cast<int32_t>(std::max_element(row, logits->end()) - row)};
    out.tokens.push_back(next.front());
  }
  return out;
}

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
}  // namespace tare
