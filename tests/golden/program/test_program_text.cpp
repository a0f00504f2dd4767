// Program text that runs: printed and parsed, it gives the same logits; an edit of one op changes them; and a model
// that a plugin in pure C wrote computes what Transformers does.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/app/model.hpp"
#include "core/base/log.hpp"
#include "core/program/program_text.hpp"
#include "tests/golden/support/golden.hpp"

namespace tare {
namespace {

const std::filesystem::path kModels = TARE_SOURCE_DIR "/tests/golden/models";

const Host& host() {
  static const std::unique_ptr<Host> instance =
      Host::open({.plugin_path = {TARE_BINARY_DIR "/tests/c_program"}}, std::move(*make_log({})));
  return *instance;
}

std::string read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream out;
  out << file.rdbuf();
  return std::move(out).str();
}

// The logits of the prompt, all in one step.
std::vector<float> prompt_logits(ModelDescription description, const golden::GoldenCase& golden) {
  auto device = host().open_device("cpu", {.threads = 2, .memory_bytes = int64_t{1} << 30});
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  LoadOptions options;
  options.context = options.max_step_tokens = options.max_sequences = 64;
  auto planned = plan_model(host(), std::move(description), (*device)->info(), int64_t{1} << 30, options);
  REQUIRE_MESSAGE(planned.ok(), planned.status().message());
  auto model = load_model(host(), std::move(*planned), **device, options);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  const auto tokens = static_cast<int32_t>(golden.prompt.size());
  StepInput step;
  for (int32_t t = 0; t < tokens; ++t) {
    step.token_ids.push_back(golden.prompt[static_cast<size_t>(t)]);
    step.positions.push_back(t);
    step.logit_row_tokens.push_back(t);
    step.sampling.emplace_back().temperature = 0;
  }
  step.sequence_begin.push_back(tokens);
  step.context_lengths.push_back(tokens);
  for (const StateGroupLimits& g : model->executor->limits().groups) {
    const int32_t stride = (64 + g.page_tokens - 1) / g.page_tokens;
    PageTableInput table{.stride = stride, .pages = {}};
    for (int32_t p = 0; p < stride; ++p) table.pages.push_back(p * g.page_tokens < tokens ? p : -1);
    step.page_tables.push_back(std::move(table));
  }
  const auto out = model->executor->run(step);
  REQUIRE_MESSAGE(out.ok(), out.status().message());
  const auto logits = model->executor->logits();
  REQUIRE_MESSAGE(logits.ok(), logits.status().message());
  return {logits->begin(), logits->end()};
}

ModelDescription described(const std::filesystem::path& folder) {
  auto description = describe_model(host(), folder.string(), {.weights = true, .dtype = {}});
  REQUIRE_MESSAGE(description.ok(), description.status().message());
  return std::move(*description);
}
ModelDescription described_by(const std::string& text, const std::filesystem::path& folder) {
  const Result<Program> parsed = parse_program(text, host().ops());
  REQUIRE_MESSAGE(parsed.ok(), parsed.status().message());
  ModelDescription out = described(folder);
  out.program = std::make_unique<const Program>(with_sampling(*parsed));
  return out;
}
double distance(const std::vector<float>& found, const golden::GoldenCase& golden) {
  const std::span prompt(golden.logits.data(), golden.prompt.size() * static_cast<size_t>(golden.vocab));
  return golden::compare(found, prompt, golden.vocab).distance;
}

}  // namespace

TEST_CASE("a Program that went through its text gives the same bits; one edited op gives other logits") {
  const std::filesystem::path folder = kModels / "qwen2-plain";
  const auto golden = golden::read_case(folder);
  REQUIRE(golden.ok());
  ModelDescription description = described(folder);
  std::string text = print_program(*description.traced);
  const std::vector<float> direct = prompt_logits(std::move(description), *golden);
  CHECK(prompt_logits(described_by(text, folder), *golden) == direct);
  CHECK(distance(direct, *golden) <= 2e-2);
  const std::string_view from = "activation = silu", to = "activation = relu";
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  text.replace(at, from.size(), to);
  CHECK(distance(prompt_logits(described_by(text, folder), *golden), *golden) > 5e-2);
}

TEST_CASE("a model written in C runs, and computes what Transformers does") {
  const std::filesystem::path source = kModels / "llama-gqa", folder = TARE_BINARY_DIR "/tests/c_program/model";
  const auto golden = golden::read_case(source);
  REQUIRE(golden.ok());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(source / "model.safetensors", folder / "model.safetensors");
  std::string config = read_text(source / "config.json");
  const std::string_view llama = "LlamaForCausalLM";
  config.replace(config.find(llama), llama.size(), "TinyCForCausalLM");
  std::ofstream(folder / "config.json") << config;
  ModelDescription description = described(folder);
  CHECK(description.family == nullptr);
  CHECK(distance(prompt_logits(std::move(description), *golden), *golden) <= 2e-2);
}

}  // namespace tare
