// GenerationRun: one request on its way: its choices in the engine, their events, the answer that grows. Destroying it
// cancels what still runs. Knows nothing of sockets. One thread (the engine calls into its mailbox only).
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugins/server_openai/answer.hpp"
#include "plugins/server_openai/mailbox.hpp"
#include "plugins/server_openai/metrics.hpp"

namespace tare::server {

constexpr size_t kMailboxBytes = 1 << 20;

class GenerationRun {
 public:
  // Submits every choice, or none: a refusal takes back what was begun. `wake` is called on the engine's thread when
  // there is something to drain; it must outlive the run or cope with that itself, and must not block.
  static Refusal start(EngineClient& engine, Metrics& metrics, GenerationPlan plan, std::function<void()> wake,
                       std::unique_ptr<GenerationRun>* out);
  ~GenerationRun();
  GenerationRun(const GenerationRun&) = delete;
  GenerationRun& operator=(const GenerationRun&) = delete;

  bool streams() const noexcept { return answer_.plan().stream; }
  // Takes what has come. Of a stream, the bytes that may leave now, from its first to [DONE]; else nothing.
  std::string drain();
  bool finished() const noexcept { return answer_.finished(); }
  bool overflowed() const { return mailbox_->overflowed(); }
  // Asks the engine to end what runs; the events of that end come as others do.
  void cancel();
  // Nobody listens any more: wakes no one, and cancels.
  void abandon();
  HttpResponse response() const { return answer_.response(); }

 private:
  GenerationRun(EngineClient& engine, ModelLatency* latency, GenerationPlan plan, std::function<void()> wake);
  void measure(const Mailbox::Letter& letter);

  EngineClient& engine_;
  ModelLatency* const latency_;  // may be null
  Answer answer_;
  // Shared with the sinks, which the engine may keep longer than this lives.
  std::shared_ptr<Mailbox> mailbox_;
  std::vector<uint64_t> requests_;
  const Mailbox::Clock::time_point began_ = Mailbox::Clock::now();
  std::vector<Mailbox::Clock::time_point> last_token_;  // by choice; zero: none yet
  bool begun_ = false, ended_ = false;
};

}  // namespace tare::server
