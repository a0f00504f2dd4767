// The linear products on a GPU: packing is lossless, every candidate gives the reference's bits at every number of
// tokens, for plain, trained-like, clustered and adversarial weights. Small shapes: seconds, not minutes.
#include <doctest/doctest.h>

#include <algorithm>

#include "plugins/linear/cuda/bench/lab.hpp"
#include "plugins/linear/cuda/bundle.hpp"
#include "plugins/linear/cuda/catalog.hpp"
#include "tests/gpu/gpu.hpp"

namespace tare::jit {
SourceBundle linear_bench_bundle();
}

using namespace tare;
using namespace tare::linear_cuda;
using namespace tare::linear_cuda::bench;

namespace {

struct LinearGpu : gpu_test::Gpu {
  std::unique_ptr<Lab> lab;
  LinearGpu() : Gpu({jit::linear_bundle(), jit::linear_bench_bundle()}) {
    if (device) lab = std::make_unique<Lab>(*device, *launcher, *jit);
  }
};

constexpr int32_t kMostTokens = 300;

void check(LinearGpu& gpu, RecordOrder order, int32_t leaves, WeightKind kind, WeightCode expected,
           WeightCode asked = WeightCode::kW12) {
  Lab& lab = *gpu.lab;
  const int64_t weights = int64_t{order.rows} * order.columns;
  const auto plain = lab.memory(static_cast<size_t>(weights) * 2, "plain"),
             back = lab.memory(static_cast<size_t>(weights) * 2, "back");
  lab.fill_weights(plain->data(), order.rows, order.columns, kind, 7);
  const auto* words = static_cast<const uint16_t*>(plain->data());
  const ResidentMatrix packed = must(pack_matrix(lab.tools(), lab.stream(), words, order, leaves, asked, "test"));
  const ResidentMatrix dense =
      must(pack_matrix(lab.tools(), lab.stream(), words, order, leaves, WeightCode::kDense, "test"));
  CHECK(packed.shape.code == expected);
  for (const ResidentMatrix* matrix : {&packed, &dense}) {
    lab.poison(back->data(), back->bytes());
    must(unpack_matrix(lab.tools(), lab.stream(), *matrix, static_cast<uint16_t*>(back->data())));
    CHECK(lab.differences(back->data(), plain->data(), weights) == 0);
  }

  // All kernels at once: one after the other they would take minutes to compile.
  const std::vector<int32_t> row_counts{1, 5, 8, 16, 31, 33, 48, 64, 96, 128, 192, 256, 300};
  const std::string architecture(gpu.launcher->architecture());
  std::vector<jit::KernelRequest> requests;
  for (const int32_t tokens : row_counts) {
    for (const AnyConfig& config : candidates(packed.shape, tokens, gpu.launcher->multiprocessors(), architecture)) {
      for (const AnyConfig& c : {config, dense_variant(config)}) {
        jit::KernelRequest request{source(c), expression(c), architecture};
        if (std::find(requests.begin(), requests.end(), request) == requests.end())
          requests.push_back(std::move(request));
      }
    }
  }
  for (const auto& kernel : gpu.jit->compile_all(requests)) REQUIRE_MESSAGE(kernel.ok(), kernel.status().message());

  const auto inputs = lab.memory(size_t{kMostTokens} * static_cast<size_t>(order.columns) * 2, "inputs");
  const auto outputs = lab.memory(size_t{kMostTokens} * static_cast<size_t>(order.rows) * 2, "outputs");
  const auto reference = lab.memory(outputs->bytes(), "reference");
  lab.fill_activations(inputs->data(), int64_t{kMostTokens} * order.columns, 3);
  auto run = [&](const AnyConfig& config, const ResidentMatrix& matrix, int32_t tokens, const Buffer& to) {
    lab.poison(to.data(), to.bytes());
    Product product = must(Product::prepare(lab.tools(), config, matrix, static_cast<const uint16_t*>(inputs->data()),
                                            static_cast<uint16_t*>(to.data()), tokens, lab.workspace(), false));
    must(product.launch(lab.stream()));
    must(lab.stream().synchronize());
  };
  run(PortableConfig{.code = WeightCode::kDense, .tokens = 32}, dense, kMostTokens, *reference);
  CHECK(lab.relative_error(plain->data(), inputs->data(), reference->data(), kMostTokens, order.rows, order.columns) <
        3e-3);
  for (const int32_t tokens : row_counts) {
    for (const AnyConfig& config :
         candidates(packed.shape, tokens, gpu.launcher->multiprocessors(), gpu.launcher->architecture())) {
      run(config, packed, tokens, *outputs);
      CHECK_MESSAGE(lab.differences(outputs->data(), reference->data(), int64_t{tokens} * order.rows) == 0,
                    label(config), ", ", tokens, " tokens");
      run(dense_variant(config), dense, tokens, *outputs);
      CHECK_MESSAGE(lab.differences(outputs->data(), reference->data(), int64_t{tokens} * order.rows) == 0, "dense ",
                    label(config));
    }
  }
}

}  // namespace

TEST_CASE("trained-like weights, one leaf") {
  LinearGpu gpu;
  if (gpu.device) check(gpu, {7168, 1024, 16}, 1, WeightKind::trained, WeightCode::kW12);
}
TEST_CASE("trained-like weights, four leaves, two strips a block") {
  LinearGpu gpu;
  if (gpu.device) check(gpu, {1024, 2048, 2}, 4, WeightKind::trained, WeightCode::kW12);
}
TEST_CASE("clustered escapes take longer headers and keep their bits") {
  LinearGpu gpu;
  if (gpu.device) check(gpu, {1024, 1024, 4}, 4, WeightKind::clustered, WeightCode::kW12);
}
TEST_CASE("weights that no power of two brings into range fall back to dense") {
  LinearGpu gpu;
  if (gpu.device) check(gpu, {512, 1024, 4}, 4, WeightKind::adversarial, WeightCode::kDense);
}
TEST_CASE("two leaves, rows for three groups") {
  LinearGpu gpu;
  if (gpu.device) check(gpu, {1536, 2048, 4}, 2, WeightKind::trained, WeightCode::kW12);
}
TEST_CASE("the denser code gives the same bits") {
  LinearGpu gpu;
  if (gpu.device) check(gpu, {1536, 2048, 4}, 4, WeightKind::trained, WeightCode::kW11, WeightCode::kW11);
}
TEST_CASE("the denser code leaves clustered escapes to w12, and what that cannot hold to dense") {
  LinearGpu gpu;
  if (!gpu.device) return;
  check(gpu, {512, 1024, 4}, 1, WeightKind::adversarial, WeightCode::kDense, WeightCode::kW11);
}
TEST_CASE("a narrow model's shapes") {
  LinearGpu gpu;
  if (gpu.device) check(gpu, {576, 576, 4}, 1, WeightKind::gaussian, WeightCode::kW12);
}
