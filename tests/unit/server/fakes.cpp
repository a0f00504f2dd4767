#include "tests/unit/server/fakes.hpp"

#include <chrono>

namespace tare::server::test {

Result<std::vector<int32_t>> ByteText::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<int32_t> ids;
  if (options.add_special) ids.push_back(256);
  for (char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}
Result<std::string> ByteText::decode(std::span<const int32_t> ids, bool skip_special) const {
  std::string out;
  for (int32_t id : ids)
    if (id < 256 || !skip_special) out += *token_text(id);
  return out;
}
namespace {
class ByteDecoder final : public StreamDecoder {
 public:
  std::string push(int32_t id) override { return id < 256 ? std::string(1, static_cast<char>(id)) : std::string(); }
  std::string finish() override { return {}; }
};
}  // namespace
std::unique_ptr<StreamDecoder> ByteText::stream_decoder(bool) const { return std::make_unique<ByteDecoder>(); }
Result<std::string> ByteText::token_text(int32_t id) const {
  if (id == 256) return "<bos>";
  if (id == 257) return "<eos>";
  return std::string(1, static_cast<char>(id));
}
std::string ByteText::token_bytes(int32_t id) const { return *token_text(id); }
Result<std::string> ByteText::render(std::string_view context, const RenderOptions&) const {
  std::lock_guard lock(mutex_);
  context_ = context;
  if (context.find("raise") != context.npos) return invalid("the template says: no");
  return std::string(context);
}
std::string ByteText::last_context() const {
  std::lock_guard lock(mutex_);
  return context_;
}

FakeEngine::FakeEngine() : thread_([this] { run(); }) {}
FakeEngine::~FakeEngine() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::vector<ServedModel> FakeEngine::models() const {
  return {{.name = "org/fake",
           .created = 1700000000,
           .context = context,
           .vocabulary = 258,
           .text = with_text ? &text : nullptr,
           .sampling = sampling}};
}

Result<uint64_t> FakeEngine::submit(GenerateRequest request, EventSink sink) {
  std::lock_guard lock(mutex_);
  if (!refusal.ok() && submitted_ >= accept_first) return refusal;
  ++submitted_;
  const uint64_t id = next_id_++;
  seen_.push_back(request);
  requests_[id] = {.id = id, .request = std::move(request), .sink = std::move(sink)};
  changed_.notify_all();
  return id;
}
void FakeEngine::cancel(uint64_t request) {
  std::lock_guard lock(mutex_);
  const auto found = requests_.find(request);
  if (found == requests_.end() || found->second.cancelled) return;
  found->second.cancelled = true;
  ++cancelled_;
  changed_.notify_all();
}
EngineStatistics FakeEngine::statistics(std::string_view) const {
  std::lock_guard lock(mutex_);
  EngineStatistics statistics;
  statistics.running = static_cast<int64_t>(requests_.size());
  statistics.steps = 42;
  statistics.step_seconds = 0.5;
  return statistics;
}
std::vector<GenerateRequest> FakeEngine::seen() const {
  std::lock_guard lock(mutex_);
  return seen_;
}
int64_t FakeEngine::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}
int64_t FakeEngine::running() const {
  std::lock_guard lock(mutex_);
  return static_cast<int64_t>(requests_.size());
}
bool FakeEngine::wait_cancelled(int64_t count, int milliseconds) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(milliseconds), [&] { return cancelled_ >= count; });
}

void FakeEngine::step(Request& r) {
  GenerateEvent event;
  event.request = r.id;
  event.prompt_tokens = static_cast<int32_t>(r.request.prompt.size());
  const size_t size = pieces.empty() ? answer.size() : pieces.size();
  const auto most = static_cast<size_t>(r.request.max_tokens);
  if (r.cancelled) {
    event.finish = FinishReason::cancelled;
  } else if (!failure.ok() && r.next == 2) {
    event.finish = FinishReason::error;
    event.error = failure;
  } else {
    const bool stops = r.next == size && !endless;
    const std::string piece = stops            ? std::string()
                              : pieces.empty() ? std::string(1, answer[r.next % size])
                                               : pieces[r.next % size];
    EmittedToken token;
    token.id = stops ? 257 : static_cast<unsigned char>(piece.empty() ? ' ' : piece[0]);
    if (r.request.sampling.logprobs >= 0) {
      token.logprobs.drawn = -0.5f;
      for (int32_t i = 0; i < r.request.sampling.logprobs; ++i)
        token.logprobs.top.push_back({.id = i == 0 ? token.id : 'a' + i, .logprob = -0.5f - static_cast<float>(i)});
    }
    event.tokens.push_back(token);
    event.text = piece;
    ++r.next;
    if (stops) {
      event.finish = FinishReason::stop;
    } else if (r.next == most) {
      event.finish = FinishReason::length;
    }
  }
  event.output_tokens = static_cast<int32_t>(r.next);
  r.done = event.finish != FinishReason::none;
  r.sink(event);
}

void FakeEngine::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (requests_.empty()) {
      changed_.wait(lock);
      continue;
    }
    for (auto at = requests_.begin(); at != requests_.end();) {
      if (!held || at->second.cancelled) step(at->second);
      at = at->second.done ? requests_.erase(at) : std::next(at);
    }
    changed_.notify_all();
    if (pause_ms > 0 || held) {
      changed_.wait_for(lock, std::chrono::milliseconds(held ? 1 : pause_ms.load()));
    } else {
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    }
  }
}

void QuietLog::write(LogLevel, std::string_view message) noexcept {
  std::lock_guard lock(mutex_);
  all_ += std::string(message) + "\n";
}
std::string QuietLog::all() const {
  std::lock_guard lock(mutex_);
  return all_;
}

}  // namespace tare::server::test
