// The kernels as a Plan runs them: a Problem, an Instance, a Launch.
#include "plugins/sampling/kernel.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "core/api/ops.hpp"
#include "tests/unit/sampling/rows.hpp"

namespace tare::sampling {
namespace {

// Two threads, each with half of the rows.
class TwoThreads final : public CpuParallel {
 public:
  int32_t threads() const noexcept override { return 2; }
  void run(int64_t count, int64_t, const std::function<void(int64_t, int64_t, int32_t)>& body) override {
    std::thread other([&] { body(count / 2, count, 1); });
    if (count / 2 > 0) body(0, count / 2, 0);
    other.join();
  }
};
class FakeCpu final : public Device {
 public:
  explicit FakeCpu(bool parallel = true) : parallel_(parallel) { info_.id = info_.kind = "cpu"; }
  const DeviceInfo& info() const noexcept override { return info_; }
  Result<std::unique_ptr<Buffer>> allocate(size_t, Purpose, std::string_view) override { return refuse(); }
  Result<std::unique_ptr<Stream>> create_stream() override { return refuse(); }
  Status copy_in(Stream&, void*, const void*, size_t) override { return refuse(); }
  Status copy_out(Stream&, void*, const void*, size_t) override { return refuse(); }
  Status fill(Stream&, void*, uint8_t, size_t) override { return refuse(); }
  bool host_addressable() const noexcept override { return true; }
  void* query(std::string_view interface) noexcept override {
    return parallel_ && interface == CpuParallel::kInterface ? static_cast<CpuParallel*>(&pool_) : nullptr;
  }

 private:
  static Status refuse() { return Status(Code::unsupported, "the sampler asks a device for nothing of this"); }
  DeviceInfo info_;
  TwoThreads pool_;
  bool parallel_;
};
class FakeStream final : public Stream {
 public:
  Status synchronize() override { return {}; }
  Result<std::unique_ptr<Event>> record() override { return Status(Code::unsupported, "no events"); }
};

Problem problem(int64_t vocabulary, DType dtype) {
  Problem p;
  p.device_kind = "cpu";
  ProblemOp op;
  op.op = Sample::kOp;
  op.inputs = {{{{1, Axis::logit_rows}, {vocabulary, Axis::vocab}}, dtype}};
  op.results = {{{{1, Axis::logit_rows}}, DType::i32}};
  p.ops = {op};
  return p;
}

struct Run {
  Status status;
  std::vector<int32_t> ids;
  std::vector<SampledLogprobs> logprobs;
};
template <class T>
Run run(const KernelCandidate& kernel, std::vector<T> logits, DType dtype, const std::vector<SamplingRow>& rows) {
  FakeCpu device;
  FakeStream stream;
  const auto count = static_cast<int64_t>(rows.size()), vocabulary = static_cast<int64_t>(logits.size()) / count;
  const Problem p = problem(vocabulary, dtype);
  REQUIRE(kernel.supports(p));
  auto instance = kernel.instance(device, p, kernel.fallback(p));
  REQUIRE_MESSAGE(instance.ok(), instance.status().message());
  Run out;
  out.ids.resize(rows.size(), -1), out.logprobs.resize(rows.size());
  StepView step;
  step.num_logit_rows = count, step.sampling = rows, step.logprobs = out.logprobs;
  const TensorView in = packed_view(logits.data(), dtype, {count, vocabulary});
  const TensorView ids = packed_view(out.ids.data(), DType::i32, {count});
  out.status = (*instance)->launch({.device = device,
                                    .stream = stream,
                                    .step = step,
                                    .inputs = std::span(&in, 1),
                                    .outputs = std::span(&ids, 1),
                                    .weights = {},
                                    .state = nullptr,
                                    .scratch = {}});
  return out;
}

TEST_CASE("each row has its own parameters, and its own log probabilities") {
  std::mt19937_64 random(1);
  constexpr size_t kRows = 9, kVocabulary = 500;
  const std::vector<float> logits = testing::random_logits(random, kRows * kVocabulary, 2);
  std::vector<SamplingRow> rows(kRows);
  for (size_t r = 0; r < kRows; ++r) {
    rows[r].temperature = static_cast<float>(r) / 4, rows[r].seed = r;
    rows[r].top_k = r % 2 ? 20 : 0;
    if (r % 3 == 0) rows[r].logprobs = 2;
  }
  for (const auto& kernel : {fast_kernel(), reference_kernel()}) {
    const Run got = run(*kernel, logits, DType::f32, rows);
    REQUIRE_MESSAGE(got.status.ok(), got.status.message());
    for (size_t r = 0; r < kRows; ++r) {
      SampledLogprobs logprobs;
      CHECK(got.ids[r] == *reference(std::span(logits).subspan(r * kVocabulary, kVocabulary), rows[r], logprobs));
      CHECK(got.logprobs[r].top.size() == (r % 3 == 0 ? 2 : 0));
      CHECK(got.logprobs[r].drawn == logprobs.drawn);
    }
  }
}

TEST_CASE("a row's token does not depend on the other rows") {
  std::mt19937_64 random(2);
  const std::vector<float> logits = testing::random_logits(random, 6 * 300, 1);
  std::vector<SamplingRow> rows(6);
  for (size_t r = 0; r < 6; ++r) rows[r].seed = 100 + r;
  const Run all = run(*fast_kernel(), logits, DType::f32, rows);
  for (size_t r = 0; r < 6; ++r) {
    const std::vector<float> one(logits.begin() + static_cast<ptrdiff_t>(r * 300),
                                 logits.begin() + static_cast<ptrdiff_t>((r + 1) * 300));
    CHECK(run(*fast_kernel(), one, DType::f32, {rows[r]}).ids[0] == all.ids[r]);
  }
}

TEST_CASE("BF16 logits are drawn from as they are") {
  std::mt19937_64 random(3);
  std::vector<bf16> logits;
  std::vector<float> plain;
  for (float v : testing::random_logits(random, 400, 2))
    logits.push_back(to_bf16(v)), plain.push_back(to_float(logits.back()));
  SamplingRow row;
  row.seed = 4;
  SampledLogprobs unused;
  for (const auto& kernel : {fast_kernel(), reference_kernel()})
    CHECK(run(*kernel, logits, DType::bf16, {row}).ids[0] == *reference(plain, row, unused));
}

TEST_CASE("a row that is not numbers is named") {
  std::vector<float> logits(5 * 8, 1.0f);
  logits[2 * 8 + 3] = NAN, logits[4 * 8] = NAN;
  for (const auto& kernel : {fast_kernel(), reference_kernel()}) {
    const Run got = run(*kernel, logits, DType::f32, std::vector<SamplingRow>(5));
    CHECK(got.status.code() == Code::invalid);
    CHECK(got.status.message() == "logit row 2: the logit of token 3 is nan, expected a number");
  }
}

TEST_CASE("a step that draws nothing is no work") {
  FakeCpu device;
  FakeStream stream;
  const Problem p = problem(8, DType::f32);
  auto kernel = fast_kernel();
  auto instance = kernel->instance(device, p, {});
  REQUIRE(instance.ok());
  const StepView step;
  const TensorView in = packed_view(nullptr, DType::f32, {0, 8}), ids = packed_view(nullptr, DType::i32, {0});
  CHECK((*instance)
            ->launch({.device = device,
                      .stream = stream,
                      .step = step,
                      .inputs = std::span(&in, 1),
                      .outputs = std::span(&ids, 1),
                      .weights = {},
                      .state = nullptr,
                      .scratch = {}})
            .ok());
}

TEST_CASE("a candidate says what it takes and why not") {
  auto kernel = fast_kernel();
  CHECK(kernel->id() == "sample.cpu");
  CHECK(kernel->takes() == std::vector<std::string>{"sample/1"});
  CHECK_FALSE(kernel->is_reference());
  CHECK(reference_kernel()->is_reference());
  const Problem good = problem(8, DType::f32);
  CHECK(kernel->numerics(good) == reference_kernel()->numerics(good));
  CHECK(kernel->supports(problem(8, DType::i32)).reason == "logits are i32, expected f32 or bf16");
  FakeCpu bare(false);
  CHECK(kernel->instance(bare, good, {}).status().message() == "sample.cpu: the device has no cpu_parallel/1");
}

}  // namespace
}  // namespace tare::sampling
