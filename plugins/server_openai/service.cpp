#include "plugins/server_openai/service.hpp"

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <vector>

#include "plugins/server_openai/connection.hpp"

namespace tare::server {
namespace {

using net::ip::tcp;
using Error = boost::system::error_code;
constexpr int64_t kMostRefusing = 64;

std::string address_text(const std::string& host, uint16_t port) {
  return text(host.find(':') != std::string::npos ? "[" + host + "]" : host, ":", port);
}

Result<tcp::endpoint> resolve(const ServerSettings& settings) {
  Error error;
  const auto address = net::ip::make_address(settings.host, error);
  if (!error) return tcp::endpoint(address, settings.port);
  net::io_context context;
  tcp::resolver resolver(context);
  const auto found = resolver.resolve(settings.host, std::to_string(settings.port), tcp::resolver::passive, error);
  if (error || found.empty())
    return invalid("cannot listen on ", quoted(settings.host), ": ", error.message(), ", expected an address or the ",
                   "name of this machine");
  return found.begin()->endpoint();
}

Status may_bind(const ServerSettings& settings, const tcp::endpoint& endpoint) {
  if (!settings.api_keys.empty() || endpoint.address().is_loopback()) return {};
  return invalid("without API keys only this machine may ask, but the address is ",
                 address_text(settings.host, settings.port),
                 ", expected 127.0.0.1 or a file of keys (api_keys_file in [server])");
}

class Server final : public FrontEnd {
 public:
  Server(const ServerSettings& settings, const Timing& timing, EngineClient& engine, Log& log)
      : shared_(settings, timing, engine, log) {
    for (int32_t i = 0; i < std::max(settings.threads, 1); ++i) workers_.push_back(std::make_unique<Worker>());
    acceptor_ = std::make_unique<tcp::acceptor>(workers_[0]->context);
    retry_ = std::make_unique<net::steady_timer>(workers_[0]->context);
  }
  ~Server() override { shut_down(); }

  Status bind(const tcp::endpoint& endpoint) {
    Error error;
    acceptor_->open(endpoint.protocol(), error);
    if (!error) acceptor_->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_->bind(endpoint, error);
    if (!error) acceptor_->listen(net::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_->local_endpoint(error).port();
    if (!error) return {};
    const std::string address = address_text(shared_.settings.host, endpoint.port());
    if (error == net::error::address_in_use)
      return failure(Code::unavailable, "cannot listen on ", address,
                     ": another program does, expected a free port (0 takes any)");
    return failure(Code::unavailable, "cannot listen on ", address, ": ", error.message());
  }

  void run() {
    accept_next();
    for (const auto& worker : workers_)
      worker->thread = std::thread([&context = worker->context] {
        const auto guard = net::make_work_guard(context);
        context.run();
      });
  }

  uint16_t port() const noexcept override { return port_; }

  void shut_down() override {
    std::lock_guard once(shut_down_mutex_);
    if (down_) return;
    down_ = true;
    shared_.application.drain();
    const Milliseconds grace(shared_.timing.cancel_grace_ms);
    if (!shared_.wait_not_busy(Milliseconds(shared_.settings.shutdown_deadline_ms))) {
      shared_.log.warning("streams that did not end within the deadline are cancelled");
      on_each([](Connection& connection) { connection.cancel_generation(); });
      shared_.wait_not_busy(grace);
    }
    net::post(workers_[0]->context, [this] {
      Error ignored;
      acceptor_->close(ignored);
      retry_->cancel();
    });
    shared_.helpers.join();
    on_each([](Connection& connection) { connection.abandon(); });
    shared_.wait_none_open(grace);
    for (const auto& worker : workers_) worker->context.stop();
    for (const auto& worker : workers_)
      if (worker->thread.joinable()) worker->thread.join();
  }

 private:
  template <class Action>
  void on_each(Action action) {
    for (const auto& worker : workers_)
      net::post(worker->context, [&connections = worker->connections, action] {
        // A connection may end, and leave the set, by what is done to it.
        std::vector<std::shared_ptr<Connection>> all;
        for (Connection* connection : connections)
          if (auto alive = connection->weak_from_this().lock()) all.push_back(std::move(alive));
        for (const auto& connection : all) action(*connection);
      });
  }

  void accept_next() {
    Worker& worker = *workers_[next_];
    next_ = (next_ + 1) % workers_.size();
    acceptor_->async_accept(worker.context, [this, &worker](Error error, tcp::socket socket) {
      if (!acceptor_->is_open()) return;
      if (!error) {
        take(std::move(socket), worker);
        accept_next();
      } else {
        // Out of descriptors, most likely: connections that end give some back.
        shared_.log.warning("cannot accept a connection: " + error.message());
        retry_->expires_after(Milliseconds(100));
        retry_->async_wait([this](Error stopped) {
          if (!stopped) accept_next();
        });
      }
    });
  }

  void take(tcp::socket socket, Worker& worker) {
    bool room = false;
    {
      std::lock_guard lock(shared_.mutex);
      room = shared_.open < shared_.settings.max_connections;
    }
    if (room) {
      shared_.count_open(1);
    } else if (++shared_.refusing > kMostRefusing) {
      --shared_.refusing;
      return;
    }
    // The connection's thread makes it, as it belongs to it alone.
    auto moved = std::make_shared<tcp::socket>(std::move(socket));
    net::post(worker.context, [this, &worker, room, moved] {
      auto connection = std::make_shared<Connection>(std::move(*moved), worker, shared_);
      if (room) {
        connection->start();
      } else {
        connection->start_refused();
      }
    });
  }

  Shared shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<tcp::acceptor> acceptor_;
  std::unique_ptr<net::steady_timer> retry_;
  size_t next_ = 0;
  uint16_t port_ = 0;
  std::mutex shut_down_mutex_;
  bool down_ = false;
};

class OpenAiFrontEnd final : public FrontEndService {
 public:
  explicit OpenAiFrontEnd(const Timing& timing) : timing_(timing) {}
  std::string_view name() const noexcept override { return "openai"; }
  Result<std::unique_ptr<FrontEnd>> start(const ServerSettings& settings, EngineClient& engine, Log& log) override {
    try {
      TARE_ASSIGN_OR_RETURN(const tcp::endpoint endpoint, resolve(settings));
      TARE_RETURN_IF_ERROR(may_bind(settings, endpoint));
      auto server = std::make_unique<Server>(settings, timing_, engine, log);
      TARE_RETURN_IF_ERROR(server->bind(endpoint));
      server->run();
      return std::unique_ptr<FrontEnd>(std::move(server));
    } catch (const std::exception& e) {
      return failure(Code::internal, "the front end cannot start: ", e.what());
    }
  }

 private:
  const Timing timing_;
};

}  // namespace

std::unique_ptr<FrontEndService> openai_front_end(const Timing& timing) {
  return std::make_unique<OpenAiFrontEnd>(timing);
}

}  // namespace tare::server
