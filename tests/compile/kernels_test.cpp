// Every kernel and every configuration that the catalogue offers for a Llama-3.1-8B layer, through NVRTC for each
// architecture that runs it: they compile, hardly spill, and no wgmma is made to wait for another. Needs NVRTC, no GPU.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>

#include "jit/compile/nvrtc.hpp"
#include "jit/device_bundle.hpp"
#include "jit/host.hpp"
#include "plugins/device_cuda/codec/tile_decoder.hpp"
#include "plugins/device_cuda/ops/bundle.hpp"
#include "plugins/device_cuda/ops/expression.hpp"
#include "plugins/linear/cuda/bundle.hpp"
#include "plugins/linear/cuda/catalog.hpp"
#include "plugins/linear/cuda/expression.hpp"
#include "plugins/sampling/cuda/candidate.hpp"

using namespace tare;
using namespace tare::linear_cuda;

namespace {

// The producers of four consumer groups have 32 registers and spill a few addresses, once a tile; a multiplying loop
// that spills loses far more than this.
constexpr int kMostSpilled = 64;
// Where w11 scatters escapes beside 256 tokens' sums a few more go; the record of the H200 has such a config as the
// best of its row.
constexpr int kMostSpilledShort = 96;

std::unique_ptr<jit::Jit> make() {
  jit::JitOptions options;
  options.nvrtc_folders = jit::nvrtc_folders(TARE_NVRTC_FOLDER);
  options.cache_folder = std::string(TARE_BINARY_DIR) + "/kernel-cache";
  auto jit = jit::make_jit(std::move(options));
  REQUIRE(jit->add_bundle(jit::device_bundle()).ok());
  REQUIRE(jit->add_bundle(jit::linear_bundle()).ok());
  REQUIRE(jit->add_bundle(jit::cuda_ops_bundle()).ok());
  REQUIRE(jit->add_bundle(jit::cuda_codec_bundle()).ok());
  REQUIRE(jit->add_bundle(jit::sampling_bundle()).ok());
  return jit;
}

bool have_nvrtc() {
  const auto nvrtc = jit::Nvrtc::open(jit::nvrtc_folders(TARE_NVRTC_FOLDER));
  if (!nvrtc) std::printf("skipped: %s\n", nvrtc.status().message().c_str());
  return nvrtc.ok();
}

std::vector<jit::KernelRequest> requests(const std::string& architecture) {
  std::vector<jit::KernelRequest> out;
  auto add = [&](std::string source_file, std::string text) {
    jit::KernelRequest r{std::move(source_file), std::move(text), architecture};
    if (std::find(out.begin(), out.end(), r) == out.end()) out.push_back(std::move(r));
  };
  struct Size {
    int rows, columns, per_block, leaves;
  };
  for (const Size s : {Size{6144, 4096, 4, 2}, Size{4096, 4096, 2, 4}, Size{28672, 4096, 16, 1}}) {
    const MatrixShape matrix{.order = {s.rows, s.columns, s.per_block}, .leaves = s.leaves};
    for (const int tokens : {8, 16, 32, 64, 128, 256, 1024}) {
      if (architecture != "sm_90a" && tokens > 32) continue;  // the others have no further kernels
      for (const AnyConfig& config : candidates(matrix, tokens, 132, architecture)) {
        add(source(config), expression(config));
        if (architecture == "sm_90a") add(source(config), expression(dense_variant(config)));
      }
      const auto gated = gated_candidates(matrix, tokens, 132, architecture);
      for (const AnyConfig& config : gated) add(source(config), stacked_expression(config, Epilogue::kSilu));
      if (!gated.empty())
        for (const Epilogue epilogue : {Epilogue::kSilu, Epilogue::kGelu, Epilogue::kGeluTanh, Epilogue::kRelu})
          add(source(gated[0]), stacked_expression(dense_variant(gated[0]), epilogue));
      // Epilogues: the first guess of each kernel that has them.
      std::string seen;
      for (const AnyConfig& config : candidates(matrix, tokens, 132, architecture)) {
        if (source(config) == seen) continue;
        seen = source(config);
        for (const Epilogue epilogue : {Epilogue::kAdd, Epilogue::kSilu}) {
          if (epilogue == Epilogue::kSilu && tokens > 192) continue;  // gates are a kernel of their own there
          add(source(config), expression(config, epilogue));
          if (tokens == 8) add(source(config), expression(dense_variant(config), epilogue));
        }
        if (!std::holds_alternative<PortableConfig>(config)) add(source(config), stacked_expression(config));
        if (tokens == 8 && s.rows == 4096)
          for (const Epilogue epilogue : {Epilogue::kGelu, Epilogue::kGeluTanh, Epilogue::kRelu})
            add(source(config), expression(config, epilogue));
      }
    }
  }
  // Whole tiles and a last round shared by two or four clusters, with a leaf or two each, alone and in a stack.
  if (architecture == "sm_90a") {
    for (const auto& [rows, tokens] : {std::pair{3072, 2048}, std::pair{5120, 1024}, std::pair{3072, 640}}) {
      const MatrixShape matrix{.order = {rows, 4096, 4}, .leaves = 4};
      for (const AnyConfig& config : candidates(matrix, tokens, 132, architecture)) {
        const auto* wide = std::get_if<WideConfig>(&config);
        if (wide == nullptr || wide->rest_leaves == 0) continue;
        add(source(config), expression(config));
        add(source(config), stacked_expression(config));
      }
    }
  }
  // The denser code in every kernel: the best guesses of a few row counts.
  {
    const MatrixShape matrix{.code = WeightCode::kW11, .header_blocks = 3, .order = {4096, 4096, 2}, .leaves = 4};
    for (const int tokens : {8, 64, 1024}) {
      const auto configs = candidates(matrix, tokens, 132, architecture);
      for (size_t i = 0; i < configs.size(); i += 3) add(source(configs[i]), expression(configs[i]));
    }
  }
  for (const WeightCode code : {WeightCode::kDense, WeightCode::kW12, WeightCode::kW11}) {
    for (const int blocks : {1, 2, 3, 4}) {
      if (code == WeightCode::kDense && blocks > 1) continue;
      if (code != WeightCode::kDense && (code == WeightCode::kW11) != (blocks == 3)) continue;
      add("plugins/linear/cuda/pack.cuh", pack_expression({code, blocks}));
      add("plugins/linear/cuda/pack.cuh", unpack_expression({code, blocks}));
    }
  }
  add("plugins/linear/cuda/pack.cuh", "tare::linear_cuda::exponent_histogram");
  const std::string ops = "plugins/device_cuda/ops/";
  using cuda_ops::Element;
  for (const auto kind : {cuda_ops::NormKind::kRms, cuda_ops::NormKind::kLayer})
    for (const auto e : {Element::kBf16, Element::kF32})
      add(ops + "norm.cuh", expression(cuda_ops::NormConfig{kind, e, e, Element::kBf16}));
  for (const auto pairs : {cuda_ops::RotaryPairs::kHalves, cuda_ops::RotaryPairs::kNeighbours})
    for (const auto e : {Element::kBf16, Element::kF32})
      add(ops + "rotary.cuh", expression(cuda_ops::RotaryConfig{pairs, e, e}));
  for (const int size : {24, 64, 128, 256})
    for (const auto visible : {cuda_ops::Visible::kFull, cuda_ops::Visible::kWindow, cuda_ops::Visible::kChunk})
      for (const char* kernel : {"append", "attend"})
        add(ops + "attention.cuh", cuda_ops::expression(kernel, {size, size, visible, Element::kBf16}));
  for (const char* kernel : {"append", "attend"})
    add(ops + "attention.cuh", cuda_ops::expression(kernel, {64, 64, cuda_ops::Visible::kFull, Element::kF32}));
  for (const auto operation : {cuda_ops::Elementwise::kGated, cuda_ops::Elementwise::kActivate})
    for (const auto activation : {cuda_ops::Activation::kSilu, cuda_ops::Activation::kGelu,
                                  cuda_ops::Activation::kGeluTanh, cuda_ops::Activation::kRelu})
      add(ops + "elementwise.cuh", expression(cuda_ops::ElementwiseConfig{operation, activation}));
  for (const auto operation :
       {cuda_ops::Elementwise::kAdd, cuda_ops::Elementwise::kScale, cuda_ops::Elementwise::kSoftCap})
    for (const auto e : {Element::kBf16, Element::kF32})
      add(ops + "elementwise.cuh",
          expression(cuda_ops::ElementwiseConfig{operation, cuda_ops::Activation::kNone, e, e, e}));
  add(ops + "rows.cuh", "tare::cuda_ops::gather");
  add(ops + "rows.cuh", "tare::cuda_ops::concat");
  for (const char* f32 : {"true", "false"})
    add("plugins/sampling/cuda/argmax.cuh",
        std::string("tare::sampling::argmax<tare::sampling::ArgmaxConfig{.f32 = ") + f32 + "}>");
  // Tiles of bundles: bf16 and f16 with one or both planes coded, f32, single bytes.
  for (const auto& [width, coded] : {std::pair{2, 1u}, {2, 2u}, {2, 3u}, {4, 8u}, {4, 12u}, {4, 15u}, {1, 1u}}) {
    CodedMatrix matrix;
    matrix.width = width;
    for (size_t p = 0; p < 4; ++p) matrix.coded[p] = coded >> p & 1;
    add("plugins/device_cuda/codec/tiles.cuh", cuda_codec::expression(matrix));
  }
  const std::string ours = "tare::linear_cuda::";
  for (const char* number : {"kBf16", "kF32"}) {
    const std::string n = ours + "Number::" + number;
    add("plugins/linear/cuda/reference.cuh", ours + "reference<" + ours + "ReferenceConfig{.activations = " + n +
                                                 ", .weights = " + n + ", .output = " + n + ", .bias = " + n + "}>");
    add("plugins/linear/cuda/embed.cuh",
        ours + "embed<" + ours + "EmbedConfig{.records = false, .table = " + n + ", .output = " + n + "}>");
  }
  for (const char* code : {"kDense", "kW12"})
    add("plugins/linear/cuda/embed.cuh",
        ours + "embed<" + ours + "EmbedConfig{.records = true, .code = " + ours + "WeightCode::" + code + "}>");
  return out;
}

}  // namespace

TEST_CASE("every configuration compiles for every architecture that runs it") {
  if (!have_nvrtc()) return;
  const auto jit = make();
  size_t kernels = 0;
  for (const char* architecture : {"sm_80", "sm_89", "sm_90a", "sm_100a", "sm_120a"}) {
    const auto wanted = requests(architecture);
    const auto made = jit->compile_all(wanted);
    for (size_t i = 0; i < wanted.size(); ++i) {
      REQUIRE_MESSAGE(made[i].ok(), made[i].status().message());
      const jit::KernelResources& r = (*made[i])->resources;
      CHECK_MESSAGE(!r.serialized_wgmma, wanted[i].expression);
      const bool short_code = wanted[i].expression.find("WeightCode::kW11") != std::string::npos;
      CHECK_MESSAGE(r.spill_store_bytes <= (short_code ? kMostSpilledShort : kMostSpilled), wanted[i].expression, ": ",
                    r.spill_store_bytes, " bytes spilled");
      CHECK(r.registers <= 255);
      ++kernels;
    }
  }
  std::printf("%zu kernels\n", kernels);
}

TEST_CASE("a wrong field is named in the error, with the file and the kernel") {
  if (!have_nvrtc()) return;
  const auto made = make()->compile(
      {"plugins/linear/cuda/pack.cuh", "tare::linear_cuda::pack<tare::linear_cuda::PackConfig{.cod = 1}>", "sm_90a"});
  REQUIRE_FALSE(made.ok());
  CHECK(made.status().message().find(
            "plugins/linear/cuda/pack.cuh does not compile for sm_90a as tare::linear_cuda::pack<") == 0);
  CHECK(made.status().message().find("cod") != std::string::npos);
}

TEST_CASE("a configuration that does not fit is refused by a sentence of the kernel's own") {
  if (!have_nvrtc()) return;
  const auto made = make()->compile({"plugins/linear/cuda/strip.cuh", expression(StripConfig{.stages = 99}), "sm_90a"});
  REQUIRE_FALSE(made.ok());
  CHECK(made.status().message().find("the ring must fit into shared memory: fewer stages or strips") !=
        std::string::npos);
}
