// Mailbox: carries a request's events from the engine's thread to the connection's. Bounded, so that a client that does
// not read costs its own answer and nothing more; never makes the engine wait. [any thread]
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

#include "core/api/engine.hpp"

namespace tare::server {

class Mailbox {
 public:
  using Clock = std::chrono::steady_clock;
  struct Letter {
    size_t choice = 0;
    GenerateEvent event;
    Clock::time_point at;
  };
  // `wake` is called on the engine's thread when something came after nothing; it must not block.
  Mailbox(size_t most_bytes, std::function<void()> wake) : most_bytes_(most_bytes), wake_(std::move(wake)) {}

  void put(size_t choice, const GenerateEvent& event);
  std::vector<Letter> take();
  // More came than fits: what is missing cannot be had again.
  bool overflowed() const;
  // Nothing is kept and nobody is woken any more.
  void close();

 private:
  const size_t most_bytes_;
  mutable std::mutex mutex_;
  std::function<void()> wake_;
  std::vector<Letter> letters_;
  size_t bytes_ = 0;
  bool overflowed_ = false, closed_ = false;
};

}  // namespace tare::server
