// tare_run_cuda_plugin PLUGIN.so [DRIVER.so]: the tutorial's CUDA kernel as a stranger's plugin. Every config of its
// space is compiled and launched on cuda:0; with a real driver its numbers are compared with the CPU's oracle, with a
// fake one they are not, since that computes nothing.
#include <cstdio>

#include "core/api/activation.hpp"
#include "core/app/host.hpp"
#include "core/base/log.hpp"
#include "plugins/device_cuda/provider.hpp"

namespace tare {
namespace {

int fail(const std::string& sentence) {
  std::fprintf(stderr, "%s\n", sentence.c_str());
  return 1;
}

int run(const std::string& plugin, const std::string& driver) {
  HostOptions options{.plugin_path = {plugin}};
  options.jit.nvrtc_folders = {TARE_NVRTC_FOLDER};
  const auto host = Host::open(options, std::move(*make_log({})));
  if (const Status ready = host->jit().ready(); !ready.ok()) {
    std::printf("skipped: %s\n", ready.message().c_str());
    return 0;
  }
  const KernelCandidate* kernel = host->registry().kernel("org.example.activate.cuda");
  if (kernel == nullptr) return fail(plugin + " brings no org.example.activate.cuda");
  auto device = cuda::make_provider(driver)->open("cuda:0", {});
  if (!device.ok()) {
    std::printf("skipped: no CUDA device (%s)\n", device.status().message().c_str());
    return 0;
  }
  auto stream = std::move(*(*device)->create_stream());
  size_t wrong = 0, configs = 0;
  for (const int64_t columns : {1000, 1001}) {
    constexpr int64_t kRows = 33;
    std::vector<bf16> x(static_cast<size_t>(kRows * columns)), found(x.size());
    for (size_t i = 0; i < x.size(); ++i) x[i].bits = static_cast<uint16_t>(i * 7919);
    auto in = (*device)->allocate(x.size() * 2, Purpose::staging, "x"),
         out = (*device)->allocate(x.size() * 2, Purpose::staging, "y");
    if (!in.ok() || !out.ok()) return fail("no memory");
    if (Status s = (*device)->copy_in(*stream, (*in)->data(), x.data(), x.size() * 2); !s.ok())
      return fail(s.message());
    Problem problem;
    problem.device_kind = "cuda", problem.features = (*device)->info().features, problem.rows = kRows;
    const TensorInfo rows{{{1, Axis::tokens}, columns}, DType::bf16};
    ProblemOp op;
    op.op = Activate::kOp, op.inputs = op.results = {rows};
    for (const auto activation : {Activation::silu, Activation::gelu, Activation::gelu_tanh, Activation::relu}) {
      op.attributes = to_attributes(Activate{activation});
      problem.ops = {op};
      if (Verdict v = kernel->supports(problem); !v) return fail(v.reason);
      for (const KernelConfig& config : kernel->space(problem)) {
        auto instance = kernel->instance(**device, problem, config);
        if (!instance.ok()) return fail(instance.status().message());
        const TensorView from = packed_view((*in)->data(), DType::bf16, {kRows, columns});
        const TensorView to = packed_view((*out)->data(), DType::bf16, {kRows, columns});
        Status s = (*instance)->launch({**device, *stream, {}, {&from, 1}, {&to, 1}, {}, nullptr, {}});
        if (s.ok()) s = (*device)->copy_out(*stream, found.data(), (*out)->data(), x.size() * 2);
        if (s.ok()) s = stream->synchronize();
        if (!s.ok()) return fail(s.message());
        ++configs;
        if (!driver.empty()) continue;
        for (size_t i = 0; i < x.size(); ++i) {
          const float wanted = to_float(to_bf16(activated(to_float(x[i]), activation))), got = to_float(found[i]);
          if (std::isnan(wanted) ? !std::isnan(got)
                                 : !(std::abs(got - wanted) <= 0.01f * std::abs(wanted) + 1e-6f) && got != wanted)
            ++wrong;
        }
      }
    }
  }
  std::printf("%zu configs compiled and launched on %s, %zu numbers differ\n", configs, (*device)->info().name.c_str(),
              wrong);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tare

int main(int argc, char** argv) {
  if (argc < 2) return tare::fail("usage: tare_run_cuda_plugin PLUGIN.so [DRIVER.so]");
  return tare::run(argv[1], argc > 2 ? argv[2] : "");
}
