// What the families make of published configs and of the golden ones.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include "core/program/ledger_of.hpp"
#include "tests/unit/models/configs.hpp"
#include "tests/unit/models/support.hpp"

namespace tare {
namespace {

Program traced(std::string_view json) {
  Result<Program> program = trace_text(json);
  REQUIRE_MESSAGE(program.ok(), program.status().message());
  return std::move(program).value();
}
std::string parameters(std::string_view json) { return grouped(ledger_of(traced(json)).parameters); }
const WeightDecl* weight(const Program& program, std::string_view name) {
  for (const WeightDecl& w : program.weights)
    if (w.name == name) return &w;
  return nullptr;
}
std::string golden(const std::string& name) {
  return read_text(TARE_SOURCE_DIR "/tests/golden/models/" + name + "/config.json");
}
// The tensors' names and shapes in a safetensors header, read without trusting our own reader.
Config safetensors_header(const std::string& path) {
  const std::string file = read_text(path);
  uint64_t bytes = 0;
  std::memcpy(&bytes, file.data(), sizeof bytes);
  return config_of(std::string_view(file).substr(8, bytes));
}

}  // namespace

TEST_CASE("parameter counts of published models are exact") {
  CHECK(parameters(configs::kLlama31_8b) == "8'030'261'248");
  CHECK(parameters(configs::kSmolLm2_135m) == "134'515'008");
  CHECK(parameters(configs::kMistral7bV01) == "7'241'732'096");
  CHECK(parameters(configs::kQwen3_8b) == "8'190'735'360");
  CHECK(parameters(configs::kQwen25_05b) == "494'032'768");
  CHECK(parameters(configs::kGemma3_4b) == "3'880'263'168");
  CHECK(parameters(configs::kGemma2_2b) == "2'614'341'888");
}

TEST_CASE("states: groups, windows and bytes a token") {
  using Group = ProgramLedger::StateGroup;
  CHECK(ledger_of(traced(configs::kLlama31_8b)).states == std::vector<Group>{{full(), 32, 2 * 8 * 128 * 2}});
  CHECK(ledger_of(traced(configs::kMistral7bV01)).states == std::vector<Group>{{window(4096), 32, 2 * 8 * 128 * 2}});
  CHECK(ledger_of(traced(configs::kGemma3_4b)).states ==
        std::vector<Group>{{window(1024), 29, 2 * 4 * 256 * 2}, {full(), 5, 2 * 4 * 256 * 2}});
  CHECK(ledger_of(traced(configs::kGemma2_2b)).states ==
        std::vector<Group>{{window(4096), 13, 2 * 4 * 256 * 2}, {full(), 13, 2 * 4 * 256 * 2}});
}

TEST_CASE("linear problems of llama 3.1 8B, with their counts") {
  const ProgramLedger ledger = ledger_of(traced(configs::kLlama31_8b));
  std::vector<std::string> shown;
  for (const auto& [problem, count] : ledger.problems) shown.push_back(text(count, " x ", to_string(problem)));
  CHECK(shown == std::vector<std::string>{"32 x bf16 N=6144 (3 parts) K=4096", "32 x bf16 N=4096 K=4096",
                                          "32 x bf16 N=28672 (2 parts) K=4096", "32 x bf16 N=4096 K=14336",
                                          "1 x bf16 N=128256 K=4096, f32 results, a row for each logit row"});
}

TEST_CASE("every golden folder traces to exactly the tensors that its checkpoint has") {
  size_t folders = 0;
  for (const auto& folder : std::filesystem::directory_iterator(TARE_SOURCE_DIR "/tests/golden/models")) {
    if (!std::filesystem::exists(folder.path() / "config.json")) continue;
    ++folders;
    INFO(folder.path().filename().string());
    const Program program = traced(read_text(folder.path() / "config.json"));
    std::set<std::string> wanted, found;
    for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
      const std::string name = file.path().filename().string();
      if (!name.starts_with("model") || !name.ends_with(".safetensors")) continue;
      const Config header = safetensors_header(file.path());
      for (const auto& [key, value] : header.values()) {
        if (!key.ends_with(".dtype")) continue;
        const std::string tensor = key.substr(0, key.size() - 6);
        double elements_there = 1;
        for (double d : header.numbers(tensor + ".shape")) elements_there *= d;
        wanted.insert(text(tensor, " of ", static_cast<int64_t>(elements_there)));
      }
    }
    for (const WeightDecl& w : program.weights) found.insert(text(w.name, " of ", elements(w.shape)));
    CHECK(found == wanted);
  }
  CHECK(folders >= 28);
}

TEST_CASE("llama: biases, tied head, head_dim, Mistral's window on every layer and Llama's on none") {
  const Program bias = traced(golden("llama-bias"));
  CHECK(weight(bias, "model.layers.1.self_attn.o_proj.bias") != nullptr);
  CHECK(weight(bias, "model.layers.1.mlp.down_proj.bias") != nullptr);
  CHECK(weight(traced(golden("llama-tied")), "lm_head.weight") == nullptr);
  CHECK(to_string(weight(traced(golden("llama-head-dim")), "model.layers.0.self_attn.q_proj.weight")->shape) ==
        "[4 heads, 32, 64]");
  CHECK(traced(golden("mistral-sliding")).states[1].kind == window(16));
  CHECK(traced(golden("mistral-plain")).states[1].kind == full());
  Config::Values values = config_of(golden("llama-plain")).values();
  values["sliding_window"] = 16.0;
  const Result<Program> program = trace(llama_family(), Config(values), {}, builtin_ops());
  REQUIRE(program.ok());
  CHECK(program->states[0].kind == full());
}

TEST_CASE("qwen: windows by max_window_layers, by layer_types, and switched off") {
  const auto kinds = [](const std::string& name) {
    std::string out;
    for (const StateDecl& state : traced(golden(name)).states) out += to_string(state.kind) + " ";
    return out;
  };
  CHECK(kinds("qwen2-max-window-layers") == "full full window(12) ");
  CHECK(kinds("qwen2-untied-sliding") == "full window(12) window(12) ");
  CHECK(kinds("qwen3-bias-sliding") == "window(12) full ");
  CHECK(kinds("qwen2-plain") == "full full ");
}

TEST_CASE("gemma: scale, caps and both rotary tables reach the attributes") {
  const Program program = traced(golden("gemma2-scalar"));
  bool seen = false;
  for (const Node& node : program.nodes)
    if (node.op == "attention/1") {
      const Result<Attention> attention = from_attributes<Attention>(node.attributes);
      REQUIRE(attention.ok());
      CHECK(attention->scale == doctest::Approx(1 / std::sqrt(7.0)).epsilon(1e-7));
      CHECK(attention->soft_cap == 3.0f);
      seen = true;
    }
  CHECK(seen);
  CHECK(program.nodes.back().op == "soft_cap/1");
  CHECK(program.constants.size() == 1);
  CHECK(traced(golden("gemma3-scaled")).constants.size() == 2);
  CHECK(weight(traced(configs::kGemma3_4b), "language_model.model.layers.0.self_attn.q_norm.weight") != nullptr);
}

TEST_CASE("a config's mistakes are all told in one run") {
  const Result<Program> program = trace_text(R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 3, "rms_norm_eps": "small",
    "intermediate_size": 96, "hidden_act": "swirl", "rope_scaling": {"rope_type": "linear"}})");
  REQUIRE_FALSE(program.ok());
  const std::string& all = program.status().message();
  for (const std::string_view part :
       {"'vocab_size' is missing", "'rms_norm_eps' has the wrong type, expected a number",
        "'num_key_value_heads' is 3, expected a divisor of num_attention_heads = 4", "'hidden_act' is \"swirl\"",
        "'rope_scaling.factor' of rope type \"linear\"", "llama.cpp:"})
    CHECK_MESSAGE(all.find(part) != std::string::npos, part);
}

TEST_CASE("a count of layers that nobody has does not trace for ever") {
  const Result<Program> program = trace_text(R"({"architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1e12})");
  REQUIRE_FALSE(program.ok());
  CHECK(program.status().message().find("'num_hidden_layers' is 1000000000000, expected at most 10000") !=
        std::string::npos);
}

TEST_CASE("the GGUF lists name each checkpoint tensor of a family") {
  const auto covered = [](const std::string& name, const GgufMapping& mapping) {
    for (const WeightDecl& w : traced(golden(name)).weights) {
      std::string pattern = w.name;
      if (w.layer >= 0) pattern.replace(13, std::to_string(w.layer).size(), "*");  // after "model.layers."
      bool found = false;
      for (const GgufTensor& tensor : mapping.tensors) found |= tensor.checkpoint == pattern;
      CHECK_MESSAGE(found, w.name);
    }
  };
  covered("llama-bias", llama_family().gguf[0]);
  covered("qwen2-plain", qwen_family().gguf[0]);
  covered("qwen3-plain", qwen_family().gguf[1]);
  covered("gemma2-plain", gemma_family().gguf[0]);
  covered("gemma3-plain", gemma_family().gguf[1]);
}

}  // namespace tare
