// What a connection sends: whole responses, and generations as they come.
#include "plugins/server_openai/connection.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace tare::server {

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

}  // namespace tare::server
