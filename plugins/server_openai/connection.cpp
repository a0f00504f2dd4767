// The life of a connection: requests as they come, and who answers them.
#include "plugins/server_openai/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <ctime>

namespace tare::server {
namespace {

namespace http = boost::beast::http;
using Parser = http::request_parser<http::string_body>;

constexpr uint32_t kHeaderBytes = 32 << 10;
constexpr size_t kBufferBytes = 128 << 10;
constexpr size_t kLongBody = 16 << 10;    // from here on helpers read and encode it

std::string to_string(boost::beast::string_view view) { return {view.data(), view.size()}; }

// What a request that could not be read is answered; nothing for a client that went away.
std::optional<ApiError> read_error(const boost::system::error_code& error, bool timed_out, const ServerSettings& settings) {
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
