// tare bench model: prompt and decode rates of one model on one device, straight through the executor.
#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <iostream>

#include "core/app/bandwidth.hpp"
#include "core/app/cli.hpp"
#include "core/app/version.hpp"

namespace tare {
namespace {

struct Options {
  ModelOptions model;
  int32_t prompt = 512, generate = 64, repeat = 3, batch = 1;
  bool as_json = false, profile = false;
};

double median(std::vector<double> v) {
  std::ranges::sort(v);
  return v.empty() ? 0 : v[v.size() / 2];
}

// One step of `batch` sequences that all stand at `position`, `tokens` rows each; pages are dealt out in order.
StepInput make_step(const ExecutorLimits& limits, int32_t batch, int32_t position, int32_t tokens, bool logits) {
  StepInput step;
  for (int32_t s = 0; s < batch; ++s) {
    for (int32_t t = 0; t < tokens; ++t) {
      step.token_ids.push_back(static_cast<int32_t>((s * 7919 + (position + t) * 104729) % (limits.vocabulary - 1)) +
                               1);
      step.positions.push_back(position + t);
    }
    step.sequence_begin.push_back(static_cast<int32_t>(step.token_ids.size()));
    step.context_lengths.push_back(position + tokens);
    if (logits) {
      step.logit_row_tokens.push_back(static_cast<int32_t>(step.token_ids.size()) - 1);
      SamplingInput greedy;
      greedy.temperature = 0, greedy.position = position + tokens;
      step.sampling.push_back(std::move(greedy));
    }
  }
  for (const StateGroupLimits& g : limits.groups) {
    PageTableInput table{.stride = (limits.context + g.page_tokens - 1) / g.page_tokens, .pages = {}};
    const int32_t needed = (position + tokens + g.page_tokens - 1) / g.page_tokens;
    const int32_t per_sequence = g.num_pages / batch;
    for (int32_t s = 0; s < batch; ++s)
      for (int32_t p = 0; p < table.stride; ++p)
        table.pages.push_back(p < needed ? s * per_sequence + p % per_sequence : -1);
    step.page_tables.push_back(std::move(table));
  }
  return step;
}

int run(const CommandLine& line, const Options& o) {
  const auto opened_host = line.host();
  if (!opened_host.ok()) return fail(opened_host.status());
  const Host* host = opened_host->get();
  ModelOptions options = o.model;
  options.context = std::max(options.context, o.prompt + o.generate + 1);
  // State is for what runs here, unless the number of sequences is part of what layouts are chosen for.
  options.sequences = std::max({o.batch, 1, options.objective == "throughput" ? options.sequences : 1});
  auto running = load_for(*host, options);
  if (!running.ok()) return fail(running.status());
  PlanExecutor& executor = *running->model.executor;
  const ExecutorLimits limits = executor.limits();
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::time_point from) {
    return std::chrono::duration<double>(Clock::now() - from).count();
  };
  std::vector<double> prompts, decodes;
  std::vector<std::pair<const char*, std::vector<KernelTime>>> profiles;
  for (int32_t r = -1; r < o.repeat; ++r) {  // the first round warms up
    const bool last = r + 1 == o.repeat && o.profile;
    if (last) executor.start_profile();
    auto start = Clock::now();
    for (int32_t at = 0; at < o.prompt;) {
      const int32_t chunk = std::min(o.prompt - at, limits.max_step_tokens / o.batch);
      auto out = executor.run(make_step(limits, o.batch, at, chunk, at + chunk == o.prompt));
      if (!out.ok()) return fail(out.status());
      at += chunk;
    }
    if (r >= 0 && o.prompt > 0) prompts.push_back(o.prompt * o.batch / seconds(start));
    if (last) profiles.emplace_back("prompt", executor.profile()), executor.start_profile();
    start = Clock::now();
    for (int32_t g = 0; g < o.generate; ++g) {
      auto out = executor.run(make_step(limits, o.batch, o.prompt + g, 1, true));
      if (!out.ok()) return fail(out.status());
    }
    if (last) profiles.emplace_back("decode", executor.profile());
    if (r >= 0 && o.generate > 0) decodes.push_back(o.generate * o.batch / seconds(start));
  }
  const double decode = median(decodes), bandwidth = read_bandwidth(*running->device);
  // A decode step reads every weight but the embedding table once, which a tied head reads after all.
  const double bytes = static_cast<double>(running->model.memory.weights);
  const double used = decode / o.batch * bytes;
  if (o.as_json) {
    std::cout << boost::json::object{{"model", running->model.name},
                                     {"device", running->device->info().name},
                                     {"threads", running->device->info().units},
                                     {"version", kVersion},
                                     {"commit", kCommit},
                                     {"prompt_tokens", o.prompt},
                                     {"generated_tokens", o.generate},
                                     {"batch", o.batch},
                                     {"prompt_tokens_per_second", median(prompts)},
                                     {"decode_tokens_per_second", decode},
                                     {"prompt_all", boost::json::array(prompts.begin(), prompts.end())},
                                     {"decode_all", boost::json::array(decodes.begin(), decodes.end())},
                                     {"weight_bytes", running->model.memory.weights},
                                     {"weight_bytes_per_second", used},
                                     {"read_bandwidth_bytes_per_second", bandwidth},
                                     {"share_of_bandwidth", bandwidth > 0 ? used / bandwidth : 0}}
              << '\n';
  } else {
    std::cout << running->model.name << " on " << running->device->info().name << ", " << running->device->info().units
              << " threads, batch " << o.batch << '\n'
              << "  prompt of " << o.prompt << ": " << median(prompts) << " tokens/s\n"
              << "  decode: " << decode << " tokens/s, weights at " << used / 1e9 << " GB/s, "
              << (bandwidth > 0 ? 100 * used / bandwidth : 0) << " % of the measured read bandwidth ("
              << bandwidth / 1e9 << " GB/s)\n";
    for (const auto& [what, times] : profiles) {
      double total = 0;
      for (const KernelTime& t : times) total += t.seconds;
      std::cout << "  where the time of the last " << what << " went (" << total * 1000 << " ms)\n";
      for (const KernelTime& t : times)
        std::cout << "    " << static_cast<int>(1000 * t.seconds / total) / 10.0 << " %  " << t.kernel << ", "
                  << t.launches << " launches\n";
    }
  }
  return 0;
}

}  // namespace

void add_bench(CLI::App& app, CommandLine& line) {
  auto* bench = app.add_subcommand("bench", "Measure");
  bench->require_subcommand(1);
  add_bench_linear(*bench, line);
  auto* command = bench->add_subcommand("model", "Prompt and decode rates of a model");
  auto o = std::make_shared<Options>();
  o->model.add_to(*command);
  command->add_option("--prompt", o->prompt, "Tokens of the prompt")->check(CLI::NonNegativeNumber);
  command->add_option("--generate", o->generate, "Tokens to decode")->check(CLI::NonNegativeNumber);
  command->add_option("--batch", o->batch, "Sequences side by side")->check(CLI::PositiveNumber);
  command->add_option("--repeat", o->repeat, "Rounds; the median is shown")->check(CLI::PositiveNumber);
  command->add_flag("--profile", o->profile, "Time every kernel in the last round, and say where the time went");
  command->add_flag("--json", o->as_json, "Machine-readable");
  command->callback([&line, o] { line.run = [&line, o] { return run(line, *o); }; });
}

}  // namespace tare
