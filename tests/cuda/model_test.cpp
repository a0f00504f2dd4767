// Whole models on the fake driver: every op of every golden model finds a kernel, everything compiles for its
// architecture, weights and state are placed under the ledger, steps run. What a GPU computes is tests/gpu's to say.
#include <doctest/doctest.h>

#include <cstdlib>

#include "core/api/ledger.hpp"
#include "jit/compile/nvrtc.hpp"
#include "plugins/device_cuda/provider.hpp"
#include "tests/gpu/models.hpp"

using namespace tare;
using namespace tare::gpu_test;

namespace {

const std::string kFake = std::string(TARE_BINARY_DIR) + "/tests/fake_cuda_driver.so";

std::unique_ptr<Device> fake_gpu(int64_t memory_bytes = int64_t{1} << 30) {
  auto device = cuda::make_provider(kFake)->open("cuda:0", {.threads = 0, .memory_bytes = memory_bytes});
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  return std::move(*device);
}
bool have_nvrtc() {
  const Status ready = host().jit().ready();
  if (!ready.ok()) std::printf("skipped: %s\n", ready.message().c_str());
  return ready.ok();
}

}  // namespace

TEST_CASE("every golden model is planned, compiled, loaded and stepped, in both types") {
  if (!have_nvrtc()) return;
  for (const std::string& name : golden::case_names(kModels)) {
    auto golden = golden::read_case(kModels / name);
    REQUIRE_MESSAGE(golden.ok(), golden.status().message());
    for (const DType dtype : {DType::f32, DType::bf16}) {
      if (dtype == DType::bf16 && golden->weights_dtype != "bfloat16") continue;
      INFO(name, " ", std::string(tare::name(dtype)));
      auto device = fake_gpu();
      auto model = load(*device, kModels / name, {.dtype = dtype});
      REQUIRE_MESSAGE(model.ok(), model.status().message());
      for (const Plan& plan : model->executor->plans())
        for (const PlanStep& step : plan.steps) {
          CHECK(step.choice.kernel->device_kind() == "cuda");
          const bool fused = step.choice.kernel->id().starts_with("linear.cuda") && !step.choice.kernel->is_reference();
          if (step.problem.first().op == Linear::kOp)
            CHECK((fused || dtype == DType::f32 || step.choice.kernel->is_reference()));
        }
      const auto out = model->executor->run(step_of(model->executor->limits(), {{golden->prompt, 0, 0, true}}));
      CHECK_MESSAGE(out.ok(), out.status().message());
    }
  }
}

TEST_CASE("steps of one token a sequence are recorded the second time and played from then on; prompts are not") {
  if (!have_nvrtc()) return;
  for (const bool wanted : {true, false}) {
    auto device = fake_gpu();
    LoadWish wish{.context = 64, .max_step_tokens = 16, .max_sequences = 4};
    wish.record_steps = wanted;
    auto model = load(*device, kModels / "llama-gqa", wish);
    REQUIRE_MESSAGE(model.ok(), model.status().message());
    PlanExecutor& executor = *model->executor;
    const auto step = [&](std::vector<int32_t> ids, int32_t position, int32_t sequences) {
      std::vector<Rows> rows;
      for (int32_t s = 0; s < sequences; ++s) rows.push_back({ids, position, s, false});
      const auto out = executor.run(step_of(executor.limits(), rows));
      CHECK_MESSAGE(out.ok(), out.status().message());
    };
    step({1, 2, 3, 4}, 0, 1);
    step({1, 2, 3, 4}, 4, 1);
    if (!wanted) {
      CHECK(executor.recordings() == nullptr);
      step({5}, 8, 1);
      continue;
    }
    REQUIRE(executor.recordings() != nullptr);
    CHECK(executor.recordings()->recorded() == 0);
    for (int32_t i = 0; i < 4; ++i) step({5}, 8 + i, 1);
    CHECK(executor.recordings()->recorded() == 1);
    CHECK(executor.recordings()->played() == 3);
    for (int32_t i = 0; i < 3; ++i) step({5}, 12 + i, 3);
    CHECK(executor.recordings()->recorded() == 2);
    CHECK(executor.recordings()->played() == 5);
    executor.start_profile();  // each launch is timed: nothing is played
    step({5}, 15, 1);
    CHECK(executor.recordings()->played() == 5);
    CHECK(executor.profile().size() > 4);
  }
}

TEST_CASE("a model that does not fit says how much is missing, and leaves nothing behind") {
  if (!have_nvrtc()) return;
  auto device = fake_gpu(200000);
  const auto model = load(*device, kModels / "llama-plain", {.memory_bytes = int64_t{1} << 30});
  REQUIRE_FALSE(model.ok());
  CHECK(model.status().code() == Code::exhausted);
  CHECK(model.status().message().find("of the budget of 200000 bytes") != std::string::npos);
  const auto* ledger = static_cast<const Ledger*>(device->query(Ledger::kInterface));
  REQUIRE(ledger != nullptr);
  CHECK(ledger->in_use() == 0);
  const auto planned = load(*device, kModels / "llama-plain", {.memory_bytes = 200000});
  REQUIRE_FALSE(planned.ok());
  CHECK_MESSAGE(planned.status().message().find("the memory budget is 200000 bytes") != std::string::npos,
                planned.status().message());
}

TEST_CASE("layouts asked for are those of the device") {
  if (!have_nvrtc()) return;
  auto device = fake_gpu();
  const auto layout_of_head = [&](const std::string& asked) {
    auto model = load(*device, kModels / "llama-gqa", {.layout = asked});
    REQUIRE_MESSAGE(model.ok(), model.status().message());
    for (const PlanStep& step : model->executor->plans().front().steps)
      if (step.problem.first().op == Linear::kOp && step.problem.first().results[0].dtype == DType::f32)
        return std::string(step.choice.kernel->id()) + " " + to_string(step.choice.config);
    return std::string();
  };
  CHECK(layout_of_head("").starts_with("linear.cuda {kernel = strip"));
  CHECK(layout_of_head("dense").starts_with("linear.cuda {kernel = strip"));
  CHECK(layout_of_head("w12").starts_with("linear.cuda {kernel = strip"));
  CHECK(layout_of_head("w11").starts_with("linear.cuda {kernel = strip"));
  CHECK(layout_of_head("dense/rows").starts_with("linear.cuda_reference"));
  const auto refused = load(*device, kModels / "llama-gqa", {.layout = "w13"});
  REQUIRE_FALSE(refused.ok());
  CHECK(refused.status().message().find("layout 'w13' is none of those that cuda devices read") == 0);
}

TEST_CASE("a GPU that is too old, and one that nobody knows yet, are refused by their architecture") {
  if (!have_nvrtc()) return;
  struct Major {
    explicit Major(const char* value) { ::setenv("FAKE_CUDA_MAJOR", value, 1); }
    ~Major() { ::unsetenv("FAKE_CUDA_MAJOR"); }
  };
  {
    const Major old("7");
    auto device = fake_gpu();
    const auto model = load(*device, kModels / "llama-gqa", {});
    REQUIRE_FALSE(model.ok());
    CHECK_MESSAGE(model.status().message().find("the GPU is sm_70, expected sm_80 or newer") != std::string::npos,
                  model.status().message());
  }
  const Major unknown("99");
  auto device = fake_gpu();
  const auto model = load(*device, kModels / "llama-gqa", {});
  REQUIRE_FALSE(model.ok());
  CHECK(model.status().code() == Code::unsupported);
  CHECK_MESSAGE(model.status().message().find(
                    "does not compile for sm_990a: a GPU that is newer than it needs a newer CUDA run-time compiler") !=
                    std::string::npos,
                model.status().message());
}

TEST_CASE("kernels work where they cannot be kept, and that is said once") {
  if (!have_nvrtc()) return;
  std::vector<std::string> said;
  jit::JitOptions options;
  options.nvrtc_folders = jit::nvrtc_folders(std::vector<std::string>{TARE_NVRTC_FOLDER});
  options.cache_folder = kFake + "/inside-a-file";
  options.warn = [&](const std::string& sentence) { said.push_back(sentence); };
  const auto jit = jit::make_jit(std::move(options));
  constexpr jit::SourceFile kFiles[] = {{"k.cuh", "__global__ void first() {}\n__global__ void second() {}\n"}};
  REQUIRE(jit->add_bundle({"test", kFiles}).ok());
  CHECK(jit->compile({"k.cuh", "first", "sm_90a"}).ok());
  CHECK(jit->compile({"k.cuh", "second", "sm_90a"}).ok());
  REQUIRE(said.size() == 1);
  CHECK(said[0].find("cannot create the kernel cache ") == 0);
  CHECK(said[0].find("kernels will be compiled again at the next start") != std::string::npos);
}
