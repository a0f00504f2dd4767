#include "plugins/server_openai/generation_run.hpp"

namespace tare::server {
namespace {

double seconds(Mailbox::Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

GenerationRun::GenerationRun(EngineClient& engine, ModelLatency* latency, GenerationPlan plan,
                             std::function<void()> wake)
    : engine_(engine),
      latency_(latency),
      answer_(std::move(plan)),
      mailbox_(std::make_shared<Mailbox>(kMailboxBytes, std::move(wake))) {}

Refusal GenerationRun::start(EngineClient& engine, Metrics& metrics, GenerationPlan plan, std::function<void()> wake,
                             std::unique_ptr<GenerationRun>* out) {
  ModelLatency* latency = metrics.latency(plan.model);
  std::unique_ptr<GenerationRun> run(new GenerationRun(engine, latency, std::move(plan), std::move(wake)));
  std::vector<GenerateRequest> requests = run->answer_.take_requests();
  run->last_token_.resize(requests.size());
  for (size_t choice = 0; choice < requests.size(); ++choice) {
    auto submitted =
        engine.submit(std::move(requests[choice]),
                      [mailbox = run->mailbox_, choice](const GenerateEvent& event) { mailbox->put(choice, event); });
    if (!submitted.ok()) return to_error(submitted.status());
    run->requests_.push_back(*submitted);
  }
  *out = std::move(run);
  return std::nullopt;
}

GenerationRun::~GenerationRun() {
  mailbox_->close();
  if (!finished() || answer_.failure()) cancel();
}

void GenerationRun::cancel() {
  for (uint64_t request : requests_) engine_.cancel(request);
}

void GenerationRun::abandon() {
  mailbox_->close();
  cancel();
}

void GenerationRun::measure(const Mailbox::Letter& letter) {
  if (latency_ == nullptr || letter.event.tokens.empty()) return;
  auto& last = last_token_[letter.choice];
  size_t more = letter.event.tokens.size();
  if (last == Mailbox::Clock::time_point()) {
    latency_->first_token.observe(seconds(letter.at - began_));
  } else {
    const double each = seconds(letter.at - last) / static_cast<double>(more);
    for (; more > 0; --more) latency_->output_token.observe(each);
  }
  last = letter.at;
}

std::string GenerationRun::drain() {
  std::string out;
  if (streams() && !begun_) out = answer_.begin();
  begun_ = true;
  for (const Mailbox::Letter& letter : mailbox_->take()) {
    measure(letter);
    out += answer_.take(letter.choice, letter.event);
  }
  if (streams() && finished() && !ended_) {
    ended_ = true;
    out += answer_.end();
  }
  return out;
}

}  // namespace tare::server
