// The engine over real Plans: with `deterministic`, a request's tokens are the same alone and in any company, whatever
// the chunks, and also when pages run out and it is computed again. Models with full state, with windows, and with
// both.
#include <doctest/doctest.h>

#include <filesystem>
#include <map>
#include <random>

#include "core/app/model.hpp"
#include "core/base/log.hpp"
#include "core/engine/model_engine.hpp"
#include "tests/unit/engine/collector.hpp"

namespace tare {
namespace {

using testing::Collected;
using testing::Collector;

constexpr int32_t kContext = 128;

const Host& host() {
  static const std::unique_ptr<Host> instance = Host::open({}, std::move(*make_log({})));
  return *instance;
}

// A model on a device of its own, served.
struct Serving {
  std::unique_ptr<Device> device;
  LoadedModel model;
  std::unique_ptr<ModelEngine> engine;
};
// `sequences`: pages for about so many sequences of the whole context; 0: as planned.
Serving serve(const std::string& name, int32_t chunk, int64_t sequences) {
  auto device = host().open_device("cpu", {.threads = 2, .memory_bytes = int64_t{1} << 30});
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  auto description = describe_model(host(), TARE_SOURCE_DIR "/tests/golden/models/" + name,
                                    {.weights = true, .dtype = std::nullopt, .context = kContext});
  REQUIRE_MESSAGE(description.ok(), description.status().message());
  LoadOptions options;
  options.context = kContext, options.max_step_tokens = 64, options.max_sequences = 8;
  auto planned = plan_model(host(), std::move(description).value(), (*device)->info(), int64_t{1} << 30, options);
  REQUIRE_MESSAGE(planned.ok(), planned.status().message());
  for (int32_t& pages : planned->pages)
    if (sequences != 0) pages = std::min<int32_t>(pages, static_cast<int32_t>(sequences * kContext / kPageTokens));
  auto model = load_model(host(), std::move(planned).value(), **device, options);
  REQUIRE_MESSAGE(model.ok(), model.status().message());
  Serving serving{std::move(device).value(), std::move(model).value(), nullptr};
  ServedModel served;
  served.name = name;
  auto engine =
      ModelEngine::start(served, std::move(serving.model.executor), {.max_queue = 1000, .prefill_chunk = chunk});
  REQUIRE_MESSAGE(engine.ok(), engine.status().message());
  serving.engine = std::move(engine).value();
  return serving;
}

std::vector<GenerateRequest> random_requests(uint64_t seed, int32_t vocabulary) {
  std::mt19937_64 random(seed);
  std::vector<GenerateRequest> requests(16);
  for (GenerateRequest& r : requests) {
    r.prompt.resize(1 + random() % (random() % 4 == 0 ? 100 : 20));
    for (int32_t& id : r.prompt) id = static_cast<int32_t>(random() % static_cast<uint64_t>(vocabulary));
    r.max_tokens = static_cast<int32_t>(40 + random() % 60);
    r.sampling.seed = random();
    r.sampling.temperature = random() % 3 == 0 ? 0 : 1;
    if (random() % 3 == 0) r.sampling.top_p = 0.9f;
    if (random() % 3 == 0) r.sampling.top_k = 20;
    if (random() % 3 == 0) r.sampling.repetition_penalty = 1.2f;
    r.sampling.logprobs = 2;
  }
  return requests;
}

TEST_CASE("real Plans: the same tokens and log probabilities as alone") {
  for (const char* name : {"llama-gqa", "mistral-sliding", "gemma3-pattern-2", "qwen3-plain"}) {
    CAPTURE(std::string(name));
    std::vector<Collected> alone;
    std::vector<GenerateRequest> requests;
    {
      const Serving serving = serve(name, 0, 0);
      requests = random_requests(5, serving.engine->model().vocabulary);
      Collector collector;
      for (const GenerateRequest& r : requests) {
        const auto id = serving.engine->submit(r, collector.sink());
        REQUIRE_MESSAGE(id.ok(), id.status().message());
        alone.push_back(collector.wait(*id));
        CHECK_MESSAGE(alone.back().last.finish == FinishReason::length, alone.back().last.error.message());
      }
    }
    struct Company {
      int32_t chunk;
      int64_t sequences;
    };
    for (const Company company : {Company{0, 0}, Company{1, 0}, Company{7, 2}, Company{64, 2}}) {
      CAPTURE(company.chunk);
      CAPTURE(company.sequences);
      Collector collector;
      const Serving serving = serve(name, company.chunk, company.sequences);
      std::vector<uint64_t> ids;
      for (const GenerateRequest& r : requests) ids.push_back(serving.engine->submit(r, collector.sink()).value());
      for (size_t i = 0; i < ids.size(); ++i) {
        const Collected got = collector.wait(ids[i]);
        CHECK_MESSAGE(got.last.finish == FinishReason::length, got.last.error.message());
        CHECK(got.tokens == alone[i].tokens);
        CHECK(got.drawn_logprobs == alone[i].drawn_logprobs);
      }
      CHECK(serving.engine->statistics().state_pages_used == 0);
      // Windows alone never need more pages than admission saw.
      const bool grows = std::string_view(name) != "mistral-sliding";
      if (company.sequences != 0 && grows) CHECK(serving.engine->preemptions() > 0);
    }
  }
}

}  // namespace
}  // namespace tare
