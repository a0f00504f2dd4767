// What a connection waits for: wake-ups, deadlines, and whether its client is still there.
#include "plugins/server_openai/connection.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace tare::server {

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

}  // namespace tare::server
