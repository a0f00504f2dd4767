// Collects the events of many requests, for tests to wait on and look at. [any thread]
#pragma once
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/api/engine.hpp"

namespace tare::testing {

struct Collected {
  std::vector<int32_t> tokens;
  std::vector<float> drawn_logprobs;
  std::string text;
  std::vector<std::string> pieces;  // text event by event
  GenerateEvent last;               // when `ended`
  bool ended = false;
  int events_after_end = 0;
};

class Collector {
 public:
  EventSink sink() {
    return [this](const GenerateEvent& event) { add(event); };
  }
  void add(const GenerateEvent& event) {
    std::lock_guard lock(mutex_);
    Collected& c = by_request_[event.request];
    if (c.ended) ++c.events_after_end;
    for (const EmittedToken& token : event.tokens) {
      c.tokens.push_back(token.id);
      c.drawn_logprobs.push_back(token.logprobs.drawn);
    }
    c.text += event.text;
    c.pieces.push_back(event.text);
    if (event.finish != FinishReason::none) {
      c.ended = true;
      c.last = event;
    }
    changed_.notify_all();
  }
  // The request's events once it has ended; what came so far when that takes over a minute.
  Collected wait(uint64_t request) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::minutes(1), [&] { return by_request_[request].ended; });
    return by_request_[request];
  }
  Collected wait_for_tokens(uint64_t request, size_t tokens) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::minutes(1), [&] { return by_request_[request].tokens.size() >= tokens; });
    return by_request_[request];
  }
  Collected now(uint64_t request) {
    std::lock_guard lock(mutex_);
    return by_request_[request];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<uint64_t, Collected> by_request_;
};

}  // namespace tare::testing
