// Every BF16 number through the kernel, for each activation, against the formula. Needs no Tare: the device is thirty
// lines, for a kernel sees it as an interface only.
#include "table_kernel.hpp"

#include <cstdio>
#include <vector>

namespace {

// Runs pieces one after the other, as a device with one thread does.
class Serial final : public tare::CpuParallel {
 public:
  int32_t threads() const noexcept override { return 1; }
  void run(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t, int32_t)>& body) override {
    for (int64_t begin = 0; begin < count; begin += grain) body(begin, std::min(count, begin + grain), 0);
  }
};
class TestStream final : public tare::Stream {
 public:
  tare::Status synchronize() override { return {}; }
  tare::Result<std::unique_ptr<tare::Event>> record() override { return tare::invalid("no events here"); }
};
class TestDevice final : public tare::Device {
 public:
  const tare::DeviceInfo& info() const noexcept override { return info_; }
  tare::Result<std::unique_ptr<tare::Buffer>> allocate(size_t, tare::Purpose, std::string_view) override {
    return tare::invalid("no memory here");
  }
  tare::Result<std::unique_ptr<tare::Stream>> create_stream() override {
    return std::unique_ptr<tare::Stream>(std::make_unique<TestStream>());
  }
  tare::Status copy_in(tare::Stream&, void*, const void*, size_t) override { return {}; }
  tare::Status copy_out(tare::Stream&, void*, const void*, size_t) override { return {}; }
  tare::Status fill(tare::Stream&, void*, uint8_t, size_t) override { return {}; }
  bool host_addressable() const noexcept override { return true; }
  void* query(std::string_view interface) noexcept override {
    return interface == tare::CpuParallel::kInterface ? static_cast<tare::CpuParallel*>(&parallel_) : nullptr;
  }

 private:
  tare::DeviceInfo info_;
  Serial parallel_;
};

tare::Problem problem_of(tare::Activation activation, tare::DType dtype) {
  const tare::TensorInfo rows{{{1, tare::Axis::tokens}, 256}, dtype};
  tare::ProblemOp op;
  op.op = tare::Activate::kOp, op.attributes = tare::to_attributes(tare::Activate{activation});
  op.inputs = op.results = {rows};
  tare::Problem problem;
  problem.device_kind = "cpu", problem.rows = 256, problem.ops = {op};
  return problem;
}

int check(bool good, const char* what) {
  if (!good) std::fprintf(stderr, "failed: %s\n", what);
  return good ? 0 : 1;
}

}  // namespace

int main() {
  const auto kernel = org_example::make_table_kernel();
  TestDevice device;
  TestStream stream;
  int failures = check(!kernel->supports(problem_of(tare::Activation::silu, tare::DType::f32)), "f32 has no table");
  for (size_t a = 0; a < tare::kActivationNames.size(); ++a) {
    const auto activation = static_cast<tare::Activation>(a);
    const tare::Problem problem = problem_of(activation, tare::DType::bf16);
    failures += check(bool(kernel->supports(problem)), "bf16 is supported");
    for (const tare::KernelConfig& config : kernel->space(problem)) {
      auto instance = kernel->instance(device, problem, config);
      if (!instance.ok()) return check(false, instance.status().message().c_str());
      std::vector<tare::bf16> x(1 << 16), out(1 << 16);
      for (size_t i = 0; i < x.size(); ++i) x[i].bits = static_cast<uint16_t>(i);
      const tare::TensorView in = tare::packed_view(x.data(), tare::DType::bf16, {256, 256});
      const tare::TensorView result = tare::packed_view(out.data(), tare::DType::bf16, {256, 256});
      const tare::Status status = (*instance)->launch({.device = device,
                                                       .stream = stream,
                                                       .step = {},
                                                       .inputs = {&in, 1},
                                                       .outputs = {&result, 1},
                                                       .weights = {},
                                                       .scratch = {}});
      failures += check(status.ok(), "the launch");
      for (size_t i = 0; i < x.size(); ++i)
        if (out[i] != tare::to_bf16(org_example::activated(tare::to_float(x[i]), activation)))
          return check(false, "a value differs from the formula");
    }
  }
  std::printf("%d failures\n", failures);
  return failures;
}
