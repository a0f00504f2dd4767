// Connection: one client's socket: reads requests, asks the Application, writes responses. Moves bytes and keeps time;
// decides nothing. A Worker is a thread with its connections; everything of a Connection happens on its worker's
// thread, so nothing here is locked.
#pragma once
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>

#include "plugins/server_openai/application.hpp"
#include "plugins/server_openai/generation_run.hpp"
#include "plugins/server_openai/service.hpp"

namespace tare::server {

namespace net = boost::asio;
using Milliseconds = std::chrono::milliseconds;

// What all connections of a server share. [any thread]
struct Shared {
  Shared(const ServerSettings& server_settings, const Timing& server_timing, EngineClient& engine, Log& server_log)
      : settings(server_settings), timing(server_timing), application(server_settings, engine), log(server_log) {}

  void count_open(int64_t change);
  void count_busy(int64_t change);
  // Waits until the number is zero, at most so long. True: it is.
  bool wait_not_busy(Milliseconds most);
  bool wait_none_open(Milliseconds most);

  const ServerSettings settings;
  const Timing timing;
  Application application;
  Log& log;
  // Long prompts are read and encoded here, so that streams on a worker's thread do not wait for them.
  net::thread_pool helpers{1};
  std::atomic<int64_t> refusing{0};  // connections that only get their 429

  std::mutex mutex;
  std::condition_variable changed;
  int64_t open = 0, busy = 0;  // connections; those among them with a request in work
};

class Connection;
struct Worker {
  std::unordered_set<Connection*> connections;  // on the worker's thread
  net::io_context context{1};
  std::thread thread;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(net::ip::tcp::socket socket, Worker& worker, Shared& shared);
  ~Connection();
  // Serves until it ends; keeps itself alive.
  void start();
  // Says that there are too many, and ends.
  void start_refused();
  // Asks the engine to end what it generates for this client.
  void cancel_generation();
  // Ends at once.
  void abandon();

 private:
  using Error = boost::system::error_code;
  static constexpr size_t kReadBytes = 4096;
  static constexpr size_t kAheadBytes = 64 << 10;  // of further requests that are read while one is answered
  static constexpr Milliseconds kForever{3600000};

  net::awaitable<void> serve();
  net::awaitable<void> refuse_client();
  net::awaitable<bool> serve_one();  // one request; false: the connection is to end
  net::awaitable<bool> wait_for_request();
  net::awaitable<void> find_reply();
  net::awaitable<bool> generate();
  net::awaitable<bool> stream();
  net::awaitable<bool> respond(HttpResponse response);
  net::awaitable<bool> flush();                   // writes outgoing_
  net::awaitable<bool> pause(Milliseconds most);  // until wake(); false: the time is over
  net::awaitable<void> linger();
  net::awaitable<void> unwatch();

  void arm(int32_t timeout_ms);
  void disarm();
  void expire(uint64_t turn);
  void watch();  // sees the client go while an answer is generated
  void wake();
  void begin_request();
  void end_request();

  net::ip::tcp::socket socket_;
  Worker& worker_;
  Shared& shared_;
  net::steady_timer deadline_, wake_timer_;
  uint64_t turn_ = 0;  // of the deadline
  bool timed_out_ = false, woken_ = false, first_ = true, busy_ = false, counted_ = false;
  bool watching_ = false, reading_ = false, gone_ = false, writing_ = false;

  boost::beast::flat_buffer buffer_;
  HttpRequest request_;
  Framing framing_;
  Reply reply_;
  std::unique_ptr<GenerationRun> run_;
  std::string outgoing_;
  int status_ = 0;  // of the response, for the log
  std::chrono::steady_clock::time_point began_;
};

}  // namespace tare::server
