// Small golden models loaded and run: logits and greedy tokens. [one thread]
#pragma once
#include <algorithm>
#include <cstring>
#include <filesystem>

#include <doctest/doctest.h>

#include "core/app/model.hpp"
#include "core/base/log.hpp"
#include "tests/golden/support/golden.hpp"
#include "tests/golden/support/steps.hpp"

namespace tare::layouts_test {

inline const std::filesystem::path kModels = TARE_SOURCE_DIR "/tests/golden/models";

inline const Host& host() {
  static const std::unique_ptr<Host> instance = Host::open({}, std::move(*make_log({})));
  return *instance;
}

struct Running {
  std::unique_ptr<Device> device;
  LoadedModel model;
};
inline Result<Running> load(const std::filesystem::path& path, const std::string& layout,
                            std::shared_ptr<const TuningStore> tuning = nullptr) {
  TARE_ASSIGN_OR_RETURN(auto device, host().open_device("cpu", {.threads = 2, .memory_bytes = int64_t{1} << 30}));
  TARE_ASSIGN_OR_RETURN(auto description,
                        describe_model(host(), path.string(), {.weights = true, .dtype = {}, .context = 64}));
  LoadOptions options;
  options.max_step_tokens = options.max_sequences = 64;
  options.layout = layout, options.tuning = std::move(tuning);
  TARE_ASSIGN_OR_RETURN(auto planned,
                        plan_model(host(), std::move(description), device->info(), int64_t{1} << 30, options));
  TARE_ASSIGN_OR_RETURN(auto model, load_model(host(), std::move(planned), *device, options));
  return Running{std::move(device), std::move(model)};
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
inline Generated generate(PlanExecutor& executor, const golden::GoldenCase& golden) {
  Generated out;
  std::vector<int32_t> next(golden.prompt.begin(), golden.prompt.end());
  for (int32_t position = 0, turn = 0; turn < 17; ++turn) {
    const auto step = executor.run(golden::step_of(executor.limits(), {{next, position}}));
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

}  // namespace tare::layouts_test
