#include "plugins/server_openai/mailbox.hpp"

#include <utility>

namespace tare::server {

void Mailbox::put(size_t choice, const GenerateEvent& event) {
  size_t bytes = sizeof(Letter) + event.text.size() + event.tokens.size() * sizeof(EmittedToken);
  for (const EmittedToken& token : event.tokens) bytes += token.logprobs.top.size() * sizeof(TokenLogprob);
  std::lock_guard lock(mutex_);
  if (closed_ || overflowed_) return;
  bytes_ += bytes;
  if (bytes_ > most_bytes_) {
    overflowed_ = true;
    letters_ = {};
  } else {
    letters_.push_back({choice, event, Clock::now()});
  }
  // Under the lock: close() then knows that nobody is being woken.
  if ((overflowed_ || letters_.size() == 1) && wake_) wake_();
}

std::vector<Mailbox::Letter> Mailbox::take() {
  std::lock_guard lock(mutex_);
  bytes_ = 0;
  return std::exchange(letters_, {});
}

bool Mailbox::overflowed() const {
  std::lock_guard lock(mutex_);
  return overflowed_;
}

void Mailbox::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  wake_ = nullptr;
  letters_ = {};
}

}  // namespace tare::server
