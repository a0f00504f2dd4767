// Every golden case through the whole road: checkpoint, family, Program, Plans, kernels. Logits of the prompt and of
// decode steps against Hugging Face Transformers; the same bits however the prompt is cut into steps.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>

#include "core/app/model.hpp"
#include "core/base/log.hpp"
#include "tests/golden/support/golden.hpp"
#include "tests/golden/support/steps.hpp"

namespace tare {
namespace {

const std::filesystem::path kModels = TARE_SOURCE_DIR "/tests/golden/models";

const Host& host() {
  static const std::unique_ptr<Host> instance = Host::open({}, std::move(*make_log({})));
  return *instance;
}

struct Running {
  std::unique_ptr<Device> device;
  LoadedModel model;
};
Result<Running> load(const std::filesystem::path& path, std::optional<DType> dtype, bool references) {
  TARE_ASSIGN_OR_RETURN(auto device, host().open_device("cpu", {.threads = 2, .memory_bytes = int64_t{1} << 30}));
  TARE_ASSIGN_OR_RETURN(auto description,
                        describe_model(host(), path.string(), {.weights = true, .dtype = dtype, .context = 64}));
  const LoadOptions options{.name = "",
                            .max_step_tokens = 64,
                            .max_sequences = 64,
                            .memory_bytes = 0,
                            .deterministic = true,
                            .references_only = references};
  TARE_ASSIGN_OR_RETURN(auto planned,
                        plan_model(host(), std::move(description), device->info(), int64_t{1} << 30, options));
  TARE_ASSIGN_OR_RETURN(auto model, load_model(host(), std::move(planned), *device, options));
  return Running{std::move(device), std::move(model)};
}

void check(const std::string& name, const std::filesystem::path& path, std::optional<DType> dtype, double limit,
           const golden::GoldenCase& golden, bool references) {
  INFO(name, std::string(dtype == DType::f32 ? " in F32" : ""), std::string(references ? " by references" : ""));
  auto running = load(path, dtype, references);
  REQUIRE_MESSAGE(running.ok(), running.status().message());
  const std::vector<float> whole = golden::logits_of(*running->model.executor, golden, golden.prompt.size());
  const golden::Comparison c = golden::compare(whole, golden.logits, golden.vocab);
  INFO(c.first_mismatch);
  CHECK(c.distance <= limit);
  CHECK(c.unexplained == 0);
  MESSAGE(name, std::string(dtype == DType::f32 ? " f32" : ""), std::string(references ? " references" : ""),
          ": distance ", c.distance, ", top-1 flips ", c.flips);
  // A Plan of another bucket, another cut of the prompt: the same bits.
  for (const size_t chunk : {size_t{1}, size_t{7}}) {
    const std::vector<float> cut = golden::logits_of(*running->model.executor, golden, chunk);
    REQUIRE(cut.size() == whole.size());
    CHECK_MESSAGE(std::memcmp(cut.data(), whole.data(), cut.size() * sizeof(float)) == 0, "chunks of ", chunk);
  }
}

TEST_CASE("golden models equal Transformers") {
  for (const std::string& name : golden::case_names(kModels)) {
    SUBCASE(name.c_str()) {
      auto golden = golden::read_case(kModels / name);
      REQUIRE_MESSAGE(golden.ok(), golden.status().message());
      // In F32 for every case: BF16 and F16 weights widen exactly.
      check(name, kModels / name, DType::f32, 1e-4, *golden, false);
      if (golden->weights_dtype == "bfloat16") check(name, kModels / name, std::nullopt, 2e-2, *golden, false);
    }
  }
}

// A GGUF made from a folder by llama.cpp's own converter gives the folder's logits, bit for bit: names, hyperparameters
// and transformations are undone exactly.
TEST_CASE("a GGUF gives the logits of its source folder") {
  int compared = 0;
  for (const auto& folder : std::filesystem::directory_iterator(kModels))
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      const std::string name = file.path().filename().string();
      if (!name.ends_with(".BF16.gguf") && !name.ends_with(".F32.gguf")) continue;
      auto golden = golden::read_case(folder.path());
      REQUIRE_MESSAGE(golden.ok(), golden.status().message());
      INFO(name);
      auto from_gguf = load(file.path(), DType::f32, false), from_folder = load(folder.path(), DType::f32, false);
      REQUIRE_MESSAGE(from_gguf.ok(), from_gguf.status().message());
      REQUIRE_MESSAGE(from_folder.ok(), from_folder.status().message());
      const size_t whole = golden->prompt.size();
      const std::vector<float> a = golden::logits_of(*from_gguf->model.executor, *golden, whole);
      const std::vector<float> b = golden::logits_of(*from_folder->model.executor, *golden, whole);
      const golden::Comparison c = golden::compare(a, b, golden->vocab);
      INFO(c.first_mismatch);
      CHECK(c.distance <= 1e-6);
      CHECK(golden::compare(a, golden->logits, golden->vocab).distance <= 1e-4);
      ++compared;
    }
  CHECK(compared >= 8);
}

TEST_CASE("references alone equal Transformers too") {
  for (const char* name : {"llama-gqa", "qwen3-plain", "gemma2-plain"}) {
    auto golden = golden::read_case(kModels / name);
    REQUIRE_MESSAGE(golden.ok(), golden.status().message());
    check(name, kModels / name, DType::f32, 1e-4, *golden, true);
  }
}

}  // namespace
}  // namespace tare
