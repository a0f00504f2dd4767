#include "plugins/server_openai/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <ctime>

namespace tare::server {
namespace {

namespace http = boost::beast::http;
using Error = boost::system::error_code;
using Parser = http::request_parser<http::string_body>;

constexpr uint32_t kHeaderBytes = 32 << 10;
constexpr size_t kBufferBytes = 128 << 10;
constexpr size_t kReadBytes = 4096;
constexpr size_t kAheadBytes = 64 << 10;  // of further requests that are read while one is answered
constexpr size_t kLongBody = 16 << 10;    // from here on helpers read and encode it
constexpr Milliseconds kForever{3600000};

std::string to_string(boost::beast::string_view view) { return {view.data(), view.size()}; }

// What a request that could not be read is answered; nothing for a client that went away.
std::optional<ApiError> read_error(const Error& error, bool timed_out, const ServerSettings& settings) {
  const auto refusal = [](int status, std::string message, std::string code) {
    return ApiError{.status = status, .message = std::move(message), .param = {}, .code = std::move(code)};
  };
  if (timed_out) return refusal(408, "the request came too slowly, expected it sooner", "request_timeout");
  if (error == http::error::body_limit)
    return refusal(413, text("the body is too large, expected at most ", settings.max_body_bytes, " bytes"),
                   "body_too_large");
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return refusal(431, text("the header is too large, expected at most ", kHeaderBytes, " bytes"), "header_too_large");
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == make_error_code(http::error::bad_method).category())
    return refusal(400, "the request is no valid HTTP: " + error.message(), "invalid_http");
  return std::nullopt;
}

}  // namespace

void Shared::count_open(int64_t change) {
  std::lock_guard lock(mutex);
  open += change;
  application.metrics().set_connections(open);
  changed.notify_all();
}
void Shared::count_busy(int64_t change) {
  std::lock_guard lock(mutex);
  busy += change;
  changed.notify_all();
}
bool Shared::wait_not_busy(Milliseconds most) {
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, most, [this] { return busy == 0; });
}
bool Shared::wait_none_open(Milliseconds most) {
  std::unique_lock lock(mutex);
  return changed.wait_for(lock, most, [this] { return open == 0; });
}

Connection::Connection(net::ip::tcp::socket socket, Worker& worker, Shared& shared)
    : socket_(std::move(socket)),
      worker_(worker),
      shared_(shared),
      deadline_(socket_.get_executor()),
      wake_timer_(socket_.get_executor()),
      buffer_(kBufferBytes) {
  worker_.connections.insert(this);
  Error ignored;
  socket_.set_option(net::ip::tcp::no_delay(true), ignored);
  framing_.server = shared_.application.server_name();
}

Connection::~Connection() {
  worker_.connections.erase(this);
  end_request();
  if (counted_) {
    shared_.count_open(-1);
  } else {
    --shared_.refusing;
  }
}

void Connection::start() {
  counted_ = true;
  auto self = shared_from_this();
  net::co_spawn(socket_.get_executor(), serve(), [self](std::exception_ptr failure) {
    if (failure) self->shared_.log.error("a connection ended with an exception");
  });
}
void Connection::start_refused() {
  auto self = shared_from_this();
  net::co_spawn(socket_.get_executor(), refuse_client(), [self](std::exception_ptr) {});
}

void Connection::cancel_generation() {
  if (run_) run_->cancel();
}
void Connection::abandon() {
  if (run_) run_->abandon();
  gone_ = true;
  Error ignored;
  socket_.close(ignored);
  wake();
}

net::awaitable<void> Connection::serve() {
  bool more = true;
  while (more) {
    more = co_await serve_one();
    end_request();
  }
  co_await linger();
}

net::awaitable<void> Connection::refuse_client() {
  framing_.keep_alive = false;
  framing_.request_id = clean_request_id({});
  framing_.date = http_date(std::time(nullptr));
  outgoing_ = to_bytes(
      to_response({.status = 429,
                   .message = text("too many connections, at most ", shared_.settings.max_connections, " may be open"),
                   .param = {},
                   .code = "too_many_connections",
                   .retry_after_s = 1}),
      framing_);
  const bool sent = co_await flush();
  if (sent) co_await linger();
}

net::awaitable<bool> Connection::wait_for_request() {
  if (buffer_.size() > 0) co_return true;
  Error error;
  arm(first_ ? shared_.settings.header_timeout_ms : shared_.settings.idle_timeout_ms);
  const size_t bytes =
      co_await socket_.async_read_some(buffer_.prepare(kReadBytes), net::redirect_error(net::use_awaitable, error));
  disarm();
  buffer_.commit(bytes);
  first_ = false;
  co_return !error;
}

net::awaitable<bool> Connection::serve_one() {
  const bool begun = co_await wait_for_request();
  if (!begun) co_return false;
  Parser parser;
  parser.header_limit(kHeaderBytes);
  parser.body_limit(static_cast<uint64_t>(shared_.settings.max_body_bytes));
  begin_request();
  Error error;
  arm(shared_.settings.header_timeout_ms);
  co_await http::async_read_header(socket_, buffer_, parser, net::redirect_error(net::use_awaitable, error));
  disarm();
  const auto& message = parser.get();
  request_.method = to_string(message.method_string());
  request_.target = to_string(message.target());
  request_.authorization = to_string(message[http::field::authorization]);
  request_.request_id = clean_request_id(to_string(message["x-request-id"]));
  framing_.minor_version = message.version() == 10 ? 0 : 1;
  framing_.keep_alive = !error && message.keep_alive() && !shared_.application.draining();
  framing_.without_body = request_.method == "HEAD";
  framing_.request_id = request_.request_id;
  framing_.date = http_date(std::time(nullptr));
  if (!error && framing_.minor_version == 1 && message.find(http::field::host) == message.end())
    error = http::error::bad_field;

  std::optional<HttpResponse> refused;
  if (!error) refused = shared_.application.refuse(request_);
  if (!error && !refused && !parser.is_done()) {
    if (boost::beast::iequals(message[http::field::expect], "100-continue") && framing_.minor_version == 1 &&
        buffer_.size() == 0) {
      outgoing_ = "HTTP/1.1 100 Continue\r\n\r\n";
      const bool sent = co_await flush();
      if (!sent) co_return false;
    }
    arm(shared_.settings.body_timeout_ms);
    co_await http::async_read(socket_, buffer_, parser, net::redirect_error(net::use_awaitable, error));
    disarm();
  }
  if (error) {
    framing_.keep_alive = false;
    const std::optional<ApiError> answer = read_error(error, timed_out_, shared_.settings);
    if (answer) co_await respond(to_response(*answer));
    co_return false;
  }
  if (refused) {
    // The body stays unread: what follows on this connection cannot be told from it.
    framing_.keep_alive = framing_.keep_alive && parser.is_done();
    const bool sent = co_await respond(std::move(*refused));
    co_return sent&& framing_.keep_alive;
  }
  request_.body = std::move(parser.get().body());
  co_await find_reply();
  bool sent = false;
  if (std::holds_alternative<HttpResponse>(reply_)) {
    sent = co_await respond(std::move(std::get<HttpResponse>(reply_)));
  } else {
    sent = co_await generate();
  }
  co_return sent&& framing_.keep_alive;
}

// The work that a helper does for a connection.
struct LongRequest {
  HttpRequest request;
  Reply reply;
  bool done = false;  // on the connection's thread
};

net::awaitable<void> Connection::find_reply() {
  if (request_.body.size() < kLongBody) {
    reply_ = shared_.application.handle(request_);
    co_return;
  }
  auto work = std::make_shared<LongRequest>();
  work->request = std::move(request_);
  request_.method = work->request.method, request_.target = work->request.target;  // for the log
  auto self = shared_from_this();
  auto executor = socket_.get_executor();
  // The helper gives its share of the connection back: the last one must be let go on the connection's own thread.
  net::post(shared_.helpers, [self = std::move(self), work, executor]() mutable {
    work->reply = self->shared_.application.handle(work->request);
    net::post(executor, [self = std::move(self), work] {
      work->done = true;
      self->wake();
    });
  });
  while (!work->done) co_await pause(kForever);
  reply_ = std::move(work->reply);
}

net::awaitable<bool> Connection::generate() {
  auto weak = weak_from_this();
  auto executor = socket_.get_executor();
  auto wake_me = [weak, executor] {
    net::post(executor, [weak] {
      const auto self = weak.lock();
      if (!self) return;
      // The client does not read, and more waits for it than we keep.
      if (self->writing_ && self->run_ && self->run_->overflowed()) {
        Error ignored;
        self->socket_.close(ignored);
      }
      self->wake();
    });
  };
  const Refusal refusal = GenerationRun::start(shared_.application.engine(), shared_.application.metrics(),
                                               std::move(std::get<GenerationPlan>(reply_)), wake_me, &run_);
  if (refusal) {
    const bool sent = co_await respond(to_response(*refusal));
    co_return sent;
  }
  watching_ = true;
  watch();
  bool sent = false;
  if (run_->streams()) {
    sent = co_await stream();
  } else {
    while (!run_->finished() && !gone_ && !run_->overflowed()) {
      run_->drain();
      if (!run_->finished()) co_await pause(kForever);
    }
  }
  co_await unwatch();
  const bool whole = !run_->streams() && run_->finished() && !gone_;
  std::optional<HttpResponse> response;
  if (whole) response = run_->response();
  run_.reset();
  if (response) sent = co_await respond(std::move(*response));
  co_return sent;
}

net::awaitable<bool> Connection::stream() {
  status_ = 200;
  if (framing_.minor_version == 0) framing_.keep_alive = false;
  outgoing_ = stream_head(framing_);
  const Milliseconds ping(shared_.timing.ping_ms);
  while (true) {
    const std::string bytes = run_->drain();
    if (!bytes.empty()) outgoing_ += chunk(bytes, framing_);
    const bool done = run_->finished();
    if (done) outgoing_ += last_chunk(framing_);
    if (!outgoing_.empty()) {
      const bool sent = co_await flush();
      if (!sent) co_return false;
    }
    if (done) co_return true;
    if (gone_ || run_->overflowed()) co_return false;
    const bool woken = co_await pause(ping);
    if (!woken) outgoing_ = chunk(": ping\n\n", framing_);
  }
}

net::awaitable<bool> Connection::respond(HttpResponse response) {
  if (shared_.application.draining()) framing_.keep_alive = false;
  status_ = response.status;
  outgoing_ = to_bytes(response, framing_);
  const bool sent = co_await flush();
  co_return sent;
}

net::awaitable<bool> Connection::flush() {
  Error error;
  writing_ = true;
  arm(shared_.settings.body_timeout_ms);
  co_await net::async_write(socket_, net::buffer(outgoing_), net::redirect_error(net::use_awaitable, error));
  disarm();
  writing_ = false;
  outgoing_.clear();
  co_return !error;
}

net::awaitable<bool> Connection::pause(Milliseconds most) {
  if (!woken_) {
    Error ignored;
    wake_timer_.expires_after(most);
    co_await wake_timer_.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  const bool woken = woken_;
  woken_ = false;
  co_return woken;
}
void Connection::wake() {
  woken_ = true;
  wake_timer_.cancel();
}

// Ends the connection so that the last response arrives: what a client still sends is read and dropped for a while, as
// closing at once would make its kernel drop what we sent.
net::awaitable<void> Connection::linger() {
  Error error;
  socket_.shutdown(net::ip::tcp::socket::shutdown_send, error);
  arm(shared_.timing.linger_ms);
  while (!error && !timed_out_) {
    buffer_.clear();
    co_await socket_.async_read_some(buffer_.prepare(kAheadBytes), net::redirect_error(net::use_awaitable, error));
  }
  disarm();
  socket_.close(error);
}

void Connection::watch() {
  if (reading_ || !watching_ || buffer_.size() >= kAheadBytes) return;
  reading_ = true;
  auto self = shared_from_this();
  socket_.async_read_some(buffer_.prepare(kReadBytes), [self](Error error, size_t bytes) {
    self->reading_ = false;
    self->buffer_.commit(bytes);
    if (!error) {
      self->watch();
    } else if (error != net::error::operation_aborted) {
      self->gone_ = true;
    }
    self->wake();
  });
}
net::awaitable<void> Connection::unwatch() {
  watching_ = false;
  Error ignored;
  if (reading_) socket_.cancel(ignored);
  while (reading_) co_await pause(kForever);
}

void Connection::arm(int32_t timeout_ms) {
  timed_out_ = false;
  ++turn_;
  deadline_.expires_after(Milliseconds(timeout_ms));
  auto self = shared_from_this();
  const uint64_t turn = turn_;
  deadline_.async_wait([self, turn](Error error) {
    if (!error) self->expire(turn);
  });
}
void Connection::disarm() {
  ++turn_;
  deadline_.cancel();
}
void Connection::expire(uint64_t turn) {
  if (turn != turn_) return;
  timed_out_ = true;
  Error ignored;
  socket_.cancel(ignored);
  // An operation of several reads may have been between two of them: asked again until it ends.
  auto self = shared_from_this();
  deadline_.expires_after(Milliseconds(20));
  deadline_.async_wait([self, turn](Error error) {
    if (!error) self->expire(turn);
  });
}

void Connection::begin_request() {
  if (busy_) end_request();
  busy_ = true;
  status_ = 0;
  gone_ = false;
  request_ = {};
  began_ = std::chrono::steady_clock::now();
  shared_.count_busy(1);
}
void Connection::end_request() {
  if (!busy_) return;
  busy_ = false;
  if (!request_.target.empty() || status_ != 0) {
    const std::string_view route = shared_.application.route_of(request_.target);
    const int status = status_ != 0 ? status_ : 499;  // the client went before it was answered
    shared_.application.metrics().count_request(route, status);
    const auto took = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began_);
    shared_.log.debug(text(request_.method, " ", quoted(path_of(request_.target)), " ", status, " ", took.count(),
                           " ms ", framing_.request_id));
  }
  shared_.count_busy(-1);
}

}  // namespace tare::server
