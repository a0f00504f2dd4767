// tare generate: one prompt through the engine, printed as it comes.
#include <atomic>
#include <boost/json.hpp>
#include <chrono>
#include <csignal>
#include <future>
#include <iostream>

#include "core/app/cli.hpp"
#include "core/app/generation_config.hpp"
#include "core/app/interrupt.hpp"
#include "core/engine/engine_set.hpp"

namespace tare {
namespace {

struct Options {
  ModelOptions model;
  std::string prompt;
  std::vector<int32_t> tokens;
  bool chat = false, raw = false, as_json = false, ignore_eos = false;
  int32_t max_tokens = 128;
  SamplingDefaults asked;
  std::string generation_config = "auto";
  int64_t seed = -1;
};

Result<std::vector<int32_t>> prompt_tokens(const Options& o, const LoadedModel& model) {
  if (!o.tokens.empty()) return o.tokens;
  if (model.text == nullptr)
    return failure(Code::unsupported, "the model has no tokenizer (", model.text_problem,
                   "): give --tokens instead of --prompt");
  if (!o.chat) return model.text->encode(o.prompt, {.add_special = true, .parse_special = !o.raw});
  const boost::json::object context{{"messages", boost::json::array{{{"role", "user"}, {"content", o.prompt}}}},
                                    {"add_generation_prompt", true}};
  TARE_ASSIGN_OR_RETURN(const std::string rendered, model.text->render(boost::json::serialize(context), {}));
  return model.text->encode(rendered, {.add_special = true, .parse_special = true});
}

int run(const CommandLine& line, const Options& o) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host* host = opened_host->get();
  auto running = load_for(*host, o.model);
  if (!running.ok()) return fail(running.status());
  auto tokens = prompt_tokens(o, running->model);
  if (!tokens.ok()) return fail(tokens.status());
  std::vector<EngineModel> models;
  models.push_back({.model = {.name = running->model.name,
                              .created = 0,
                              .context = 0,
                              .vocabulary = 0,
                              .text = running->model.text.get()},
                    .executor = std::move(running->model.executor),
                    .options = {}});
  auto engine = EngineSet::start(std::move(models));
  if (!engine.ok()) return fail(engine.status());

  SamplingDefaults theirs;
  if (o.generation_config == "auto") {
    std::vector<std::string> notes;
    theirs = read_generation_config(running->model.checkpoint.text.generation_config_json, notes);
    for (const std::string& note : notes) host->log().warning(note);
  }
  SamplingParameters sampling;
  o.asked.or_else(theirs).apply(sampling);

  std::promise<GenerateEvent> ended;
  std::string output;
  std::vector<int32_t> ids;
  using Clock = std::chrono::steady_clock;
  Clock::time_point first{}, last{};
  GenerateRequest request{.model = running->model.name,
                          .prompt = *tokens,
                          .sampling = sampling,
                          .choice = 0,
                          .max_tokens = o.max_tokens,
                          .stop = {},
                          .stop_ids = {},
                          .ignore_eos = o.ignore_eos};
  if (o.seed >= 0) request.sampling.seed = static_cast<uint64_t>(o.seed);
  const Interrupt interrupt;
  const Clock::time_point start = Clock::now();
  auto id = (*engine)->submit(std::move(request), [&](const GenerateEvent& event) {
    if (!event.tokens.empty()) {
      last = Clock::now();
      if (ids.empty()) first = last;
    }
    for (const EmittedToken& t : event.tokens) ids.push_back(t.id);
    output += event.text;
    if (!o.as_json) std::cout << event.text << std::flush;
    if (event.finish != FinishReason::none) ended.set_value(event);
  });
  if (!id.ok()) return fail(id.status());
  auto future = ended.get_future();
  while (future.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready)
    if (interrupt.asked()) (*engine)->cancel(*id);
  const GenerateEvent event = future.get();
  const double prompt_seconds = std::chrono::duration<double>(first - start).count();
  const double decode_seconds = std::chrono::duration<double>(last - first).count();
  const double rate = ids.size() > 1 ? static_cast<double>(ids.size() - 1) / decode_seconds : 0;
  if (event.finish == FinishReason::error) return fail(event.error);
  if (o.as_json) {
    constexpr const char* reasons[] = {"none", "stop", "length", "cancelled", "error"};
    std::cout << boost::json::object{{"text", output},
                                     {"tokens", boost::json::array(ids.begin(), ids.end())},
                                     {"prompt_tokens", event.prompt_tokens},
                                     {"output_tokens", event.output_tokens},
                                     {"finish_reason", reasons[static_cast<size_t>(event.finish)]},
                                     {"prompt_seconds", prompt_seconds},
                                     {"decode_tokens_per_second", rate},
                                     {"load_seconds", running->model.seconds}}
              << '\n';
  } else {
    std::cout << '\n';
    std::cerr << event.prompt_tokens << " prompt tokens in " << static_cast<int64_t>(prompt_seconds * 1000) << " ms, "
              << event.output_tokens << " tokens at " << static_cast<int64_t>(rate * 10) / 10.0 << " tokens/s\n";
  }
  return event.finish == FinishReason::cancelled ? 130 : 0;
}

}  // namespace

void add_generate(CLI::App& app, CommandLine& line) {
  auto* command = app.add_subcommand("generate", "Generate text from one prompt");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  auto* prompt = command->add_option("--prompt,-p", o->prompt, "The prompt's text");
  command->add_option("--tokens", o->tokens, "The prompt as token ids, in place of --prompt")
      ->delimiter(',')
      ->excludes(prompt);
  command->add_flag("--chat", o->chat, "Put the prompt into the model's chat template as a user's message");
  command->add_flag("--raw", o->raw, "Special tokens written in the prompt stay plain text");
  command->add_option("--max-tokens,-n", o->max_tokens, "Most tokens to generate")->check(CLI::PositiveNumber);
  command->add_option("--temperature", o->asked.temperature, "0: greedy")->check(CLI::NonNegativeNumber);
  command->add_option("--top-p", o->asked.top_p, "Nucleus")->check(CLI::Range(0.0, 1.0));
  command->add_option("--top-k", o->asked.top_k, "0: off")->check(CLI::NonNegativeNumber);
  command->add_option("--min-p", o->asked.min_p, "0: off")->check(CLI::Range(0.0, 1.0));
  command->add_option("--repetition-penalty", o->asked.repetition_penalty, "1: off")->check(CLI::Range(0.01, 10.0));
  command
      ->add_option("--generation-config", o->generation_config,
                   "auto: generation_config.json says how to sample where no option does; off: it is not asked")
      ->check(CLI::IsMember({"auto", "off"}));
  command->add_option("--seed", o->seed, "For the same text again")->check(CLI::NonNegativeNumber);
  command->add_flag("--ignore-eos", o->ignore_eos, "Go on past the end-of-sequence token");
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] {
    if (o->prompt.empty() && o->tokens.empty()) throw CLI::RequiredError("--prompt or --tokens");
    line.run = [&line, o] { return run(line, *o); };
  });
}

}  // namespace tare
