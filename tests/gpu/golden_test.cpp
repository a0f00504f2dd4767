// Golden models on a GPU: logits of Transformers, tokens that depend neither on how weights lie, nor on what else runs,
// nor on where the prompt is cut.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/gpu/models.hpp"

using namespace tare;
using namespace tare::gpu_test;

namespace {

golden::GoldenCase read(const std::string& name) {
  auto golden = golden::read_case(kModels / name);
  REQUIRE_MESSAGE(golden.ok(), golden.status().message());
  return std::move(*golden);
}
bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// Greedy tokens of `sequences` prompts side by side, prompts in chunks.
std::vector<std::vector<int32_t>> greedy(PlanExecutor& executor, const std::vector<std::vector<int32_t>>& prompts,
                                         size_t chunk, int tokens) {
  std::vector<std::vector<int32_t>> out(prompts.size());
  const ExecutorLimits limits = executor.limits();
  std::vector<int32_t> last(prompts.size());
  for (size_t s = 0; s < prompts.size(); ++s)
    for (size_t at = 0; at < prompts[s].size(); at += chunk) {
      const size_t n = std::min(chunk, prompts[s].size() - at);
      const auto from = prompts[s].begin() + static_cast<std::ptrdiff_t>(at);
      auto step = executor.run(step_of(
          limits,
          {{{from, from + static_cast<std::ptrdiff_t>(n)}, static_cast<int32_t>(at), static_cast<int32_t>(s), false}}));
      REQUIRE_MESSAGE(step.ok(), step.status().message());
      last[s] = step->ids.back();
    }
  for (int t = 0; t < tokens; ++t) {
    std::vector<Rows> rows;
    for (size_t s = 0; s < prompts.size(); ++s) {
      out[s].push_back(last[s]);
      rows.push_back({{last[s]}, static_cast<int32_t>(prompts[s].size()) + t, static_cast<int32_t>(s), false});
    }
    auto step = executor.run(step_of(limits, rows));
    REQUIRE_MESSAGE(step.ok(), step.status().message());
    last.assign(step->ids.begin(), step->ids.end());
  }
  return out;
}

}  // namespace

TEST_CASE("golden models equal Transformers, however the prompt is cut") {
  auto device = open_gpu();
  if (device == nullptr) return;
  int models = 0;
  for (const std::string& name : golden::case_names(kModels)) {
    const golden::GoldenCase golden = read(name);
    for (const DType dtype : {DType::f32, DType::bf16}) {
      if (dtype == DType::bf16 && golden.weights_dtype != "bfloat16") continue;
      INFO(name, " ", std::string(tare::name(dtype)));
      auto model = load(*device, kModels / name, {.dtype = dtype});
      REQUIRE_MESSAGE(model.ok(), model.status().message());
      const std::vector<float> whole = logits_of(*model->executor, golden, golden.prompt.size());
      const golden::Comparison c = golden::compare(whole, golden.logits, golden.vocab);
      INFO(c.first_mismatch);
      CHECK(c.distance <= (dtype == DType::f32 ? 1e-4 : 2e-2));
      CHECK(c.unexplained == 0);
      std::printf("%s %s: distance %.2e, top-1 flips %d\n", name.c_str(), tare::name(dtype).data(), c.distance,
                  static_cast<int>(c.flips));
      for (const size_t chunk : {size_t{1}, size_t{7}})
        CHECK_MESSAGE(same_bits(logits_of(*model->executor, golden, chunk), whole), "chunks of ", chunk);
      ++models;
    }
  }
  CHECK(models >= 40);
}

TEST_CASE(
    "compressed and dense weights, alone and among 64 streams, prompts in chunks of 1, 64 and 512: equal tokens") {
  auto device = open_gpu();
  if (device == nullptr) return;
  for (const char* name : {"llama-gqa", "llama-tied", "qwen3-plain", "qwen2-plain", "gemma2-plain", "gemma3-plain"}) {
    INFO(name);
    const golden::GoldenCase golden = read(name);
    // 64 prompts of different lengths, all within the vocabulary.
    std::vector<std::vector<int32_t>> prompts;
    for (int32_t s = 0; s < 64; ++s) {
      auto& prompt = prompts.emplace_back();
      for (int32_t i = 0; i < 20 + 3 * s % 100; ++i)
        prompt.push_back(golden.prompt[static_cast<size_t>(i * 7 + s) % golden.prompt.size()]);
    }
    std::vector<std::vector<int32_t>> wanted;
    std::vector<float> logits;
    for (const char* layout : {"dense", "w12", "w11"}) {
      INFO(layout);
      auto model = load(*device, kModels / name,
                        {.layout = layout, .context = 256, .max_step_tokens = 512, .max_sequences = 64});
      REQUIRE_MESSAGE(model.ok(), model.status().message());
      for (const size_t chunk : {size_t{512}, size_t{64}, size_t{1}}) {
        if (chunk == 1 && std::string(layout) != "w12") continue;
        const auto tokens = greedy(*model->executor, prompts, chunk, 16);
        if (wanted.empty()) wanted = tokens;
        CHECK_MESSAGE(tokens == wanted, "chunks of ", chunk);
      }
      for (const size_t s : {size_t{0}, size_t{31}, size_t{63}})
        CHECK(greedy(*model->executor, {prompts[s]}, 512, 16).front() == wanted[s]);
      const auto all = logits_of(*model->executor, golden, golden.prompt.size());
      if (logits.empty()) logits = all;
      CHECK(same_bits(all, logits));
    }
  }
}

TEST_CASE("sampling on the GPU gives the CPU's tokens and log probabilities") {
  auto device = open_gpu();
  if (device == nullptr) return;
  const golden::GoldenCase golden = read("llama-gqa");
  auto model = load(*device, kModels / "llama-gqa", {});
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  StepInput step = step_of(model->executor->limits(), {{golden.prompt, 0, 0, true}});
  for (size_t r = 0; r < step.sampling.size(); ++r) {
    SamplingInput& s = step.sampling[r];
    s.temperature = 0.5f + 0.1f * static_cast<float>(r % 7), s.top_p = r % 2 == 0 ? 0.9f : 1.0f;
    s.top_k = r % 3 == 0 ? 20 : 0, s.seed = 7 + r, s.position = static_cast<int32_t>(r), s.logprobs = 2;
    if (r % 5 == 0) s.frequency_penalty = 0.5f, s.output = {1, 2, 2};
  }
  const auto on_gpu = model->executor->run(step);
  REQUIRE_MESSAGE(on_gpu.ok(), on_gpu.status().message());
  const auto logits = model->executor->logits();
  REQUIRE(logits.ok());
  // The same logits through the CPU's oracle.
  const KernelCandidate* oracle = host().registry().kernel("sample.cpu_reference");
  REQUIRE(oracle != nullptr);
  auto cpu = host().open_device("cpu", {.threads = 1, .memory_bytes = int64_t{1} << 28});
  REQUIRE(cpu.ok());
  StepOutput wanted;
  StepViewStorage storage;
  const StepView view = view_step(step, wanted, storage);
  std::vector<float> copy = *logits;
  const auto rows = std::ssize(step.sampling), vocabulary = golden.vocab;
  const TensorView in = packed_view(copy.data(), DType::f32, {rows, vocabulary});
  const TensorView ids = packed_view(wanted.ids.data(), DType::i32, {rows});
  Problem problem;
  problem.device_kind = "cpu", problem.rows = rows;
  ProblemOp op;
  op.op = "sample/1", op.inputs = {{{{1, Axis::logit_rows}, vocabulary}, DType::f32}},
  op.results = {{{{1, Axis::logit_rows}}, DType::i32}};
  problem.ops = {op};
  auto instance = oracle->instance(**cpu, problem, {});
  REQUIRE(instance.ok());
  auto stream = (*cpu)->create_stream();
  const Status status = (*instance)->launch({**cpu, **stream, view, {&in, 1}, {&ids, 1}, {}, nullptr, {}});
  REQUIRE_MESSAGE(status.ok(), status.message());
  CHECK(on_gpu->ids == wanted.ids);
  for (size_t r = 0; r < wanted.logprobs.size(); ++r) {
    CHECK(on_gpu->logprobs[r].drawn == wanted.logprobs[r].drawn);
    CHECK(on_gpu->logprobs[r].top.size() == 2);
  }
}
