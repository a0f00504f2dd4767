// Stand-ins for the engine and the text model, so that the front end's tests need no weights. The fake engine runs on a
// thread of its own, as the real one does, and says what its script says.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/api/engine.hpp"
#include "core/api/log.hpp"

namespace tare::server::test {

// One token a byte: id = byte, 256 "<bos>", 257 "<eos>". Renders "role:content\n" a message, then "assistant:".
class ByteText final : public TextModel {
 public:
  int32_t vocabulary_size() const noexcept override { return 258; }
  Result<std::vector<int32_t>> encode(std::string_view text, const EncodeOptions& options) const override;
  Result<std::string> decode(std::span<const int32_t> ids, bool skip_special) const override;
  std::unique_ptr<StreamDecoder> stream_decoder(bool skip_special) const override;
  Result<std::string> token_text(int32_t id) const override;
  std::string token_bytes(int32_t id) const override;
  bool is_special(int32_t id) const noexcept override { return id >= 256; }
  std::optional<int32_t> bos() const noexcept override { return 256; }
  std::vector<int32_t> stop_ids() const override { return {257}; }
  bool has_template() const noexcept override { return true; }
  // Keeps the context, so that tests see what the template was given.
  Result<std::string> render(std::string_view context, const RenderOptions& options) const override;
  std::string last_context() const;

 private:
  mutable std::mutex mutex_;
  mutable std::string context_;
};

// Answers "Hello, world" letter by letter and then a stop id, unless told otherwise.
class FakeEngine final : public EngineClient {
 public:
  FakeEngine();
  ~FakeEngine() override;

  std::vector<ServedModel> models() const override;
  Result<uint64_t> submit(GenerateRequest request, EventSink sink) override;
  void cancel(uint64_t request) override;
  EngineStatistics statistics(std::string_view model) const override;
  bool ready() const noexcept override { return is_ready; }

  // Set before the server starts.
  std::string answer = "Hello, world";
  std::vector<std::string> pieces;                // text of each event; empty: letters of `answer`
  bool endless = false;                           // begins again when the answer is over
  std::atomic<int> pause_ms{0};                   // between two events
  std::atomic<bool> is_ready{true}, held{false};  // held: nothing is said while it is set
  Status refusal;                                 // of submit
  int accept_first = 0;                           // so many are taken before `refusal` is said
  Status failure;                                 // said in place of the third event
  int32_t context = 1000;
  SamplingDefaults sampling;
  bool with_text = true;
  ByteText text;

  std::vector<GenerateRequest> seen() const;
  int64_t cancelled() const;
  int64_t running() const;
  bool wait_cancelled(int64_t count, int milliseconds = 5000) const;

 private:
  struct Request {
    uint64_t id = 0;
    GenerateRequest request;
    EventSink sink;
    size_t next = 0;
    bool cancelled = false, done = false;
  };
  void run();
  void step(Request& request);

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<uint64_t, Request> requests_;
  std::vector<GenerateRequest> seen_;
  uint64_t next_id_ = 1;
  int64_t cancelled_ = 0, submitted_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

class QuietLog final : public Log {
 public:
  void write(LogLevel level, std::string_view message) noexcept override;
  std::string all() const;

 private:
  mutable std::mutex mutex_;
  std::string all_;
};

}  // namespace tare::server::test
