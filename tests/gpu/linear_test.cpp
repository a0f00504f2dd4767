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

// The kernels that walk over whole tiles and share the last round's: enough tokens for more than one round, and launch
// after launch, since each must leave the flags as it found them.
void check_rounds(LinearGpu& gpu, RecordOrder order, int32_t leaves, const std::vector<int32_t>& row_counts,
                  size_t expected) {
  Lab& lab = *gpu.lab;
  const auto plain = lab.memory(static_cast<size_t>(order.rows) * static_cast<size_t>(order.columns) * 2, "plain");
  lab.fill_weights(plain->data(), order.rows, order.columns, WeightKind::trained, 7);
  const auto* words = static_cast<const uint16_t*>(plain->data());
  const ResidentMatrix packed =
      must(pack_matrix(lab.tools(), lab.stream(), words, order, leaves, WeightCode::kW12, "test"));
  const ResidentMatrix dense =
      must(pack_matrix(lab.tools(), lab.stream(), words, order, leaves, WeightCode::kDense, "test"));
  const std::string architecture(gpu.launcher->architecture());
  const int32_t most = std::ranges::max(row_counts);
  const auto inputs = lab.memory(static_cast<size_t>(most) * static_cast<size_t>(order.columns) * 2, "inputs");
  const auto outputs = lab.memory(static_cast<size_t>(most) * static_cast<size_t>(order.rows) * 2, "outputs");
  const auto reference = lab.memory(outputs->bytes(), "reference");
  lab.fill_activations(inputs->data(), int64_t{most} * order.columns, 3);

  struct Run {
    AnyConfig config;
    const ResidentMatrix* matrix;
    int32_t tokens;
  };
  std::vector<Run> runs;
  std::vector<jit::KernelRequest> requests;
  for (const int32_t tokens : row_counts) {
    for (const AnyConfig& config : candidates(packed.shape, tokens, gpu.launcher->multiprocessors(), architecture)) {
      const auto* wide = std::get_if<WideConfig>(&config);
      if (wide == nullptr || wide->rest_leaves == 0) continue;
      for (const auto& [c, matrix] : {std::pair{config, &packed}, std::pair{dense_variant(config), &dense}}) {
        runs.push_back({c, matrix, tokens});
        jit::KernelRequest request{source(c), expression(c), architecture};
        if (std::ranges::find(requests, request) == requests.end()) requests.push_back(std::move(request));
      }
    }
  }
  if (gpu.launcher->multiprocessors() == 132) CHECK(runs.size() >= expected);
  for (const auto& kernel : gpu.jit->compile_all(requests)) REQUIRE_MESSAGE(kernel.ok(), kernel.status().message());
  const auto prepare = [&](const Run& run, const Buffer& to) {
    return must(Product::prepare(lab.tools(), run.config, *run.matrix, static_cast<const uint16_t*>(inputs->data()),
                                 static_cast<uint16_t*>(to.data()), run.tokens, lab.workspace(), false));
  };
  Product portable = prepare({PortableConfig{.code = WeightCode::kDense, .tokens = 32}, &dense, most}, *reference);
  must(portable.launch(lab.stream()));
  for (const Run& run : runs) {
    Product product = prepare(run, *outputs);
    for (int turn = 0; turn < 3; ++turn) {
      lab.poison(outputs->data(), outputs->bytes());
      must(product.launch(lab.stream()));
      must(lab.stream().synchronize());
      CHECK_MESSAGE(lab.differences(outputs->data(), reference->data(), int64_t{run.tokens} * order.rows) == 0,
                    label(run.config), ", ", run.tokens, " tokens, launch ", turn);
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
TEST_CASE("whole tiles and a shared last round, two leaves: one or two rounds before it") {
  LinearGpu gpu;
  if (gpu.device) check_rounds(gpu, {6144, 1024, 4}, 2, {200, 512, 1000, 1536}, 6);
}
TEST_CASE("whole tiles and a shared last round, four leaves: by two clusters, by four") {
  LinearGpu gpu;
  if (!gpu.device) return;
  check_rounds(gpu, {3072, 1024, 2}, 4, {700, 2000}, 4);
  check_rounds(gpu, {5120, 2048, 2}, 4, {1000}, 2);
}
TEST_CASE("a narrow model's shapes") {
  LinearGpu gpu;
  if (gpu.device) check(gpu, {576, 576, 4}, 1, WeightKind::gaussian, WeightCode::kW12);
}
