// Every config of the shipped tuning files, through NVRTC for each architecture that runs it: the entries are read as
// serving reads them, turned back into problems, bound to weights by the kernels' own code (epilogues, stacks and spare
// kernels included), and what that asks to be compiled is compiled. Needs NVRTC, no GPU.
#include <doctest/doctest.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include "autotune/store/attribute_text.hpp"
#include "autotune/store/problem_text.hpp"
#include "autotune/store/tuning_folder.hpp"
#include "core/api/ops.hpp"
#include "jit/compile/nvrtc.hpp"
#include "jit/cuda_kernel.hpp"
#include "jit/device_bundle.hpp"
#include "jit/host.hpp"
#include "plugins/device_cuda/provider.hpp"
#include "plugins/linear/cuda/bundle.hpp"
#include "plugins/linear/cuda/candidates.hpp"
#include "plugins/linear/cuda/catalog.hpp"
#include "plugins/linear/cuda/config_text.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

using namespace tare;
using namespace tare::linear_cuda;

namespace {

constexpr const char* kFolder = TARE_SOURCE_DIR "/tuning-db";
const std::string kFake = std::string(TARE_BINARY_DIR) + "/tests/fake_cuda_driver.so";

// Keeps what it is asked for instead of compiling it.
class Recorder final : public jit::Jit {
 public:
  Status add_bundle(const jit::SourceBundle&) override { return {}; }
  Result<std::shared_ptr<const jit::CompiledKernel>> compile(const jit::KernelRequest& request) override {
    asked.emplace(request.source, request.expression);
    auto out = std::make_shared<jit::CompiledKernel>();
    out->cubin = {1}, out->symbol = "k";
    return std::shared_ptr<const jit::CompiledKernel>(std::move(out));
  }
  std::vector<Result<std::shared_ptr<const jit::CompiledKernel>>> compile_all(
      std::span<const jit::KernelRequest> requests) override {
    std::vector<Result<std::shared_ptr<const jit::CompiledKernel>>> out;
    for (const auto& request : requests) out.push_back(compile(request));
    return out;
  }
  Status ready() override { return {}; }
  std::vector<std::string> found() override { return {}; }

  std::set<std::pair<std::string, std::string>> asked;  // source, expression
};

struct Architecture {
  const char *name, *major, *minor;
};
constexpr Architecture kArchitectures[] = {
    {"sm_80", "8", "0"}, {"sm_89", "8", "9"}, {"sm_90a", "9", "0"}, {"sm_100a", "10", "0"}, {"sm_120a", "12", "0"}};

std::unique_ptr<Device> fake_gpu(const Architecture& a) {
  ::setenv("FAKE_CUDA_MAJOR", a.major, 1), ::setenv("FAKE_CUDA_MINOR", a.minor, 1);
  auto device = cuda::make_provider(kFake)->open("cuda:0", {.threads = 0, .memory_bytes = int64_t{1} << 30});
  ::unsetenv("FAKE_CUDA_MAJOR"), ::unsetenv("FAKE_CUDA_MINOR");
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  return std::move(*device);
}

int64_t number(std::string_view text) {
  int64_t out = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() ? out : -1;
}
std::vector<std::string> parts_of(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) out.push_back(part);
  return out;
}

// The way back from to_string(Problem), for products and what follows them; the caller compares it with the text.
Problem problem_of(const std::string& printed, int64_t rows, const std::string& feature) {
  Problem out;
  out.device_kind = "cuda", out.features = {feature}, out.units = 132, out.rows = rows;
  for (const std::string& text : parts_of(printed, ';')) {
    ProblemOp op;
    const size_t brace = text.find('{'), brace_end = text.find('}');
    std::string plain = text;
    if (brace != std::string::npos) {
      const auto attributes = parse_attributes(text.substr(brace, brace_end - brace + 1));
      if (attributes.ok()) op.attributes = *attributes;
      plain.erase(brace, brace_end - brace + 1);
    }
    std::map<std::string, std::vector<std::string>> fields;
    for (const std::string& word : parts_of(plain, ' ')) {
      if (const size_t at = word.find('='); at != std::string::npos)
        fields[word.substr(0, at)] = parts_of(word.substr(at + 1), '+');
      else if (op.op.empty() && !word.empty())
        op.op = word;
    }
    const int64_t k = fields["k"].empty() ? 0 : number(fields["k"][0]);
    const auto tensor = [&](const std::string& text_of, int64_t width) {
      return TensorInfo{{{1, Axis::tokens}, width}, text_of.starts_with("f32") ? DType::f32 : DType::bf16};
    };
    const auto width_of = [&](const std::string& text_of) { return number(text_of.substr(text_of.find(':') + 1)); };
    for (size_t i = 0; i < fields["n"].size(); ++i) {
      const int64_t n = number(fields["n"][i]);
      op.weights.emplace_back(WeightInfo{"w", DType::bf16, {n, k}, 1});
      op.weights.emplace_back();
      if (!fields["biases"].empty()) op.weights.back() = WeightInfo{"b", DType::bf16, {n}, 1};
      op.results.push_back(tensor(fields["y"].at(i), n));
    }
    const bool product = !op.weights.empty();
    for (const std::string& x : fields["x"]) op.inputs.push_back(tensor(x, product ? k : width_of(x)));
    if (!product)
      for (const std::string& y : fields["y"]) op.results.push_back(tensor(y, width_of(y)));
    if (!out.ops.empty()) {
      op.chain_input = 0;
      const bool both = out.ops[0].results.size() == 2;  // gate and product
      op.chain_results = both ? std::vector<int32_t>{0, 1} : std::vector<int32_t>{0, -1};
    }
    out.ops.push_back(std::move(op));
  }
  return out;
}

WeightCode code_of(std::string_view layout) {
  return layout == kW12Strips ? WeightCode::kW12 : layout == kW11Strips ? WeightCode::kW11 : WeightCode::kDense;
}

// Weights that lie in `layout` and have no bytes; binding reads their heads alone.
struct Laid {
  std::vector<StripsHead> heads;
  std::vector<WeightView> views;
  Laid(const ProblemOp& op, std::string_view layout, int32_t header_blocks) : heads(op.weights.size()) {
    for (size_t i = 0; i < op.weights.size(); ++i) {
      views.emplace_back();
      if (!op.weights[i]) continue;
      views.back().data = reinterpret_cast<const void*>(uintptr_t{1} << 30), views.back().info = &*op.weights[i];
      if (i % 2 != 0) continue;
      heads[i] =
          strips_head(code_of(layout), order_of(*op.weights[i]), leaves_of(*op.weights[i]), header_blocks, 112, 0);
      views.back().layout = layout, views.back().bytes = heads[i].bytes, views.back().head = &heads[i];
    }
  }
};

struct Shipped {
  Recorder recorder;
  std::unique_ptr<KernelCandidate> kernels[3] = {make_fused_candidate(recorder, Tail::none),
                                                 make_fused_candidate(recorder, Tail::add),
                                                 make_fused_candidate(recorder, Tail::gated)};
  const KernelCandidate* find(const std::string& id) const {
    for (const auto& kernel : kernels)
      if (kernel->id() == id) return kernel.get();
    return nullptr;
  }
  // What a launch of that config on such weights needs, under the headers that most matrices get.
  void bind(Device& device, const KernelCandidate& kernel, const Problem& problem, const KernelConfig& config,
            std::string_view layout) {
    auto instance = kernel.instance(device, problem, config);
    REQUIRE_MESSAGE(instance.ok(), instance.status().message());
    const Laid laid(problem.first(), layout, code_of(layout) == WeightCode::kW11 ? 3 : 1);
    const Status bound = (*instance)->bind(laid.views);
    REQUIRE_MESSAGE(bound.ok(), bound.message());
  }
};

}  // namespace

TEST_CASE("shipped files name problems, kernels and configs of this build") {
  const TuningFolder folder = read_tuning_folder(kFolder);
  for (const std::string& problem : folder.problems) FAIL_CHECK(problem);
  Shipped shipped;
  size_t entries = 0;
  for (const TuningFile& file : folder.files) {
    INFO(file.sku);
    for (const TuningEntry& e : file.entries) {
      const Problem problem = problem_of(e.key.problem, e.key.rows, jit::compiled_for(file.architecture));
      CHECK(to_string(problem) == e.key.problem);
      const KernelCandidate* const kernel = shipped.find(e.value.kernel);
      REQUIRE_MESSAGE(kernel != nullptr, e.value.kernel);
      CHECK_MESSAGE(kernel->supports(problem), e.key.problem, ": ", kernel->supports(problem).reason);
      CHECK_MESSAGE(kernel->numerics(problem) == e.key.numerics, e.key.problem);
      const auto config = parse_attributes(e.value.config);
      REQUIRE_MESSAGE(config.ok(), config.status().message());
      const Verdict taken = kernel->accepts(problem, *config);
      CHECK_MESSAGE(taken, e.key.problem, " at ", e.key.rows, " rows, ", e.value.config, ": ", taken.reason);
      CHECK(e.value.exact);
      ++entries;
    }
  }
  CHECK(entries > 0);
  std::printf("%zu entries of %zu files\n", entries, folder.files.size());
}

TEST_CASE("every config of the shipped tuning files compiles for every architecture that runs it") {
  const auto folders = jit::nvrtc_folders(std::string(TARE_NVRTC_FOLDER));
  if (const auto nvrtc = jit::Nvrtc::open(folders); !nvrtc) {
    std::printf("skipped: %s\n", nvrtc.status().message().c_str());
    return;
  }
  const TuningFolder folder = read_tuning_folder(kFolder);
  jit::JitOptions options;
  options.nvrtc_folders = folders, options.cache_folder = std::string(TARE_BINARY_DIR) + "/kernel-cache";
  const auto jit = jit::make_jit(std::move(options));
  REQUIRE(jit->add_bundle(jit::device_bundle()).ok());
  REQUIRE(jit->add_bundle(jit::linear_bundle()).ok());
  for (const Architecture& architecture : kArchitectures) {
    INFO(std::string(architecture.name));
    const auto device = fake_gpu(architecture);
    Shipped shipped;
    std::set<std::string> seen;
    for (const TuningFile& file : folder.files)
      for (const TuningEntry& e : file.entries) {
        const Problem problem = problem_of(e.key.problem, e.key.rows, architecture.name);
        const KernelCandidate* const kernel = shipped.find(e.value.kernel);
        const auto config = parse_attributes(e.value.config);
        REQUIRE(kernel != nullptr);
        REQUIRE(config.ok());
        // Weights that do not pay in a code lie plain, and exactness is judged by plain ones.
        for (const std::string_view layout : {std::string_view(e.key.layout), kDenseStrips}) {
          if (!seen.insert(text(e.value.kernel, e.key.problem, e.value.config, layout)).second) continue;
          if (jit::compiled_for(file.architecture) == architecture.name)
            shipped.bind(*device, *kernel, problem, *config, layout);
          else if (layout != e.key.layout)
            continue;  // five minutes on two cores for all of it
          // Elsewhere: the config where that architecture has it among its own, and what the rule takes there.
          const auto space = kernel->space(problem);
          for (const KernelConfig& c : space)
            if (to_string(c) == e.value.config || to_string(c) == to_string(kernel->fallback(problem)))
              shipped.bind(*device, *kernel, problem, c, layout);
        }
      }
    std::vector<jit::KernelRequest> wanted;
    for (const auto& [source, expression] : shipped.recorder.asked)
      wanted.push_back({source, expression, architecture.name});
    CHECK(!wanted.empty());
    const auto start = std::chrono::steady_clock::now();
    const auto made = jit->compile_all(wanted);
    size_t fresh = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      REQUIRE_MESSAGE(made[i].ok(), made[i].status().message());
      CHECK_MESSAGE(!(*made[i])->resources.serialized_wgmma, wanted[i].expression);
      fresh += !(*made[i])->from_cache;
    }
    std::printf("%s: %zu kernels, %zu of them compiled anew, %.1f s\n", architecture.name, wanted.size(), fresh,
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
}
