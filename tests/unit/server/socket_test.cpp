// The front end on a port, asked by plain sockets: what only bytes and time can show.
#include <doctest/doctest.h>

#include <chrono>
#include <thread>

#include "plugins/server_openai/service.hpp"
#include "tests/unit/server/client.hpp"
#include "tests/unit/server/fakes.hpp"

using namespace tare;
using namespace tare::server;
using namespace tare::server::test;

namespace {

ServerSettings quick() {
  ServerSettings settings;
  settings.port = 0;
  settings.max_body_bytes = 100000;
  settings.header_timeout_ms = 300;
  settings.body_timeout_ms = 400;
  settings.idle_timeout_ms = 2000;
  settings.shutdown_deadline_ms = 5000;
  settings.threads = 2;
  settings.version = "1";
  return settings;
}

struct Site {
  explicit Site(ServerSettings settings = quick(), const Timing& timing = {}) {
    auto service = openai_front_end(timing);
    CHECK(service->name() == "openai");
    auto started = service->start(settings, engine, log);
    REQUIRE_MESSAGE(started.ok(), started.status().message());
    front_end = std::move(*started);
    port = front_end->port();
    REQUIRE(port != 0);
  }
  std::string ask(const std::string& request) {
    Client client(port);
    client.send(request);
    return client.response();
  }
  FakeEngine engine;
  QuietLog log;
  std::unique_ptr<FrontEnd> front_end;
  uint16_t port = 0;
};

std::string chat(const std::string& more = {}) {
  return post("/v1/chat/completions",
              "{\"model\":\"org/fake\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" + more + "}");
}
bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }
int count(const std::string& text, std::string_view part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}
bool wait_for(const std::function<bool()>& condition, int milliseconds = 5000) {
  for (; milliseconds > 0; milliseconds -= 5) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return condition();
}

}  // namespace

TEST_CASE("sockets: answers, and keeps the connection") {
  Site site;
  Client client(site.port);
  for (int round = 0; round < 3; ++round) {
    client.send(get("/health", "x-request-id: mine-" + std::to_string(round) + "\r\n"));
    const std::string response = client.response();
    CHECK(status_of(response) == 200);
    CHECK(header(response, "x-request-id") == "mine-" + std::to_string(round));
    CHECK(header(response, "Server") == "tare/1");
  }
  client.send(chat());
  CHECK(has(client.response(), "\"content\":\"Hello, world\""));
  client.send("HEAD /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" + get("/v1/models"));
  const std::string head = client.read_until("\r\n\r\n");
  const std::string whole = client.response();
  CHECK(header(head, "Content-Length") == std::to_string(body_of(whole).size()));
  CHECK(body_of(whole).size() > 10);
  client.send(get("/health", "Connection: close\r\n"));
  CHECK(header(client.response(), "Connection") == "close");
  CHECK(client.read_to_end().empty());
  CHECK(client.ended());
  CHECK(wait_for([&] { return has(site.log.all(), "GET '/health' 200"); }));
}

TEST_CASE("sockets: requests in a row are answered in a row") {
  Site site;
  Client client(site.port);
  client.send(chat(",\"stream\":true") + get("/health") + chat() + get("/v1/models/nope") + get("/ready"));
  const std::string stream = client.read_until("0\r\n\r\n");
  CHECK(has(stream, "data: [DONE]"));
  CHECK(has(client.response(), "\"status\":\"ok\""));
  CHECK(has(client.response(), "Hello, world"));
  CHECK(status_of(client.response()) == 404);
  CHECK(has(client.response(), "\"status\":\"ready\""));
}

TEST_CASE("sockets: a stream comes as it is made") {
  Site site;
  site.engine.pause_ms = 20;
  Client client(site.port);
  client.send(chat(",\"stream\":true"));
  const std::string first = client.read_until("\"content\":\"H\"");
  CHECK(status_of(first) == 200);
  CHECK(header(first, "Content-Type") == "text/event-stream; charset=utf-8");
  CHECK(header(first, "Transfer-Encoding") == "chunked");
  CHECK(has(first, "\"role\":\"assistant\""));
  CHECK(site.engine.running() == 1);
  const std::string rest = client.read_until("0\r\n\r\n");
  CHECK(count(rest, "\"content\"") == 11);
  CHECK(has(rest, "data: [DONE]\n\n"));
  client.send(get("/health"));
  CHECK(status_of(client.response()) == 200);
}

TEST_CASE("sockets: a stream in which nothing comes says that it lives") {
  Site site(quick(), {.ping_ms = 50});
  site.engine.held = true;
  Client client(site.port);
  client.send(chat(",\"stream\":true"));
  const std::string waiting = client.read_until(": ping\n\n\r\n8\r\n: ping\n\n");
  CHECK(count(waiting, ": ping") == 2);
  CHECK(count(waiting, "data: ") == 1);  // the role
  site.engine.held = false;
  CHECK(has(client.read_until("0\r\n\r\n"), "data: [DONE]"));
}

TEST_CASE("sockets: HTTP/1.0 gets a stream without chunks") {
  Site site;
  Client client(site.port);
  std::string request = chat(",\"stream\":true");
  request.replace(request.find("HTTP/1.1"), 8, "HTTP/1.0");
  client.send(request);
  const std::string all = client.read_to_end();
  CHECK(all.starts_with("HTTP/1.0 200"));
  CHECK(header(all, "Transfer-Encoding").empty());
  CHECK(body_of(all).starts_with("data: {"));
  CHECK(all.ends_with("data: [DONE]\n\n"));
}

TEST_CASE("sockets: a client that goes ends what was made for it") {
  Site site;
  site.engine.endless = true;
  site.engine.pause_ms = 5;
  {
    Client client(site.port);
    client.send(chat(",\"stream\":true,\"n\":2"));
    CHECK(has(client.read_until("\"content\":\"H\""), "200 OK"));
  }
  CHECK(site.engine.wait_cancelled(2));
  // Also while nothing comes, and where the answer is not a stream.
  site.engine.held = true;
  {
    Client client(site.port);
    client.send(chat());
    CHECK(wait_for([&] { return site.engine.running() == 1; }));
  }
  CHECK(site.engine.wait_cancelled(3));
  CHECK(wait_for([&] { return site.engine.running() == 0; }));
}

TEST_CASE("sockets: a client that does not read is dropped") {
  ServerSettings settings = quick();
  settings.body_timeout_ms = 60000;  // the bound on what waits is what ends it, not the clock
  Site site(settings);
  site.engine.pieces = {std::string(50000, 'x')};
  site.engine.endless = true;
  Client client(site.port);
  client.send(chat(",\"stream\":true"));
  CHECK(site.engine.wait_cancelled(1, 20000));
  CHECK(status_of(site.ask(get("/health"))) == 200);
}

TEST_CASE("sockets: a body over the limit gets 413 before it is read") {
  Site site;
  Client client(site.port);
  client.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n");
  const std::string response = client.response();
  CHECK(status_of(response) == 413);
  CHECK(has(response, "at most 100000 bytes"));
  CHECK(header(response, "Connection") == "close");
  Client chunked(site.port);
  chunked.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string piece = "4000\r\n" + std::string(0x4000, ' ') + "\r\n";
  for (int i = 0; i < 8; ++i) chunked.send(piece);
  CHECK(status_of(chunked.response()) == 413);
}

TEST_CASE("sockets: chunked bodies and Expect: 100-continue") {
  Site site;
  Client client(site.port);
  client.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"prompt\"\r\n");
  client.send("6\r\n:\"hi\"}\r\n0\r\n\r\n");
  CHECK(has(client.response(), "\"count\":3"));
  client.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("{\"prompt\":\"hi\"}");
  CHECK(has(client.response(), "\"count\":3"));
  // A long body is read and encoded elsewhere.
  client.send(post("/tokenize", "{\"prompt\":\"" + std::string(90000, 'a') + "\"}"));
  CHECK(has(client.response(), "\"count\":90001"));
}

TEST_CASE("sockets: slow headers and slow bodies get 408") {
  Site site;
  Client header_client(site.port), body_client(site.port), idle(site.port);
  header_client.send("GET /health HT");
  body_client.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{");
  CHECK(status_of(header_client.response()) == 408);
  CHECK(status_of(body_client.response()) == 408);
  // Drop by drop is no faster.
  Client drops(site.port);
  const auto began = std::chrono::steady_clock::now();
  std::string answer;
  for (int i = 0; i < 40 && answer.empty(); ++i) {
    drops.send("G");
    answer = drops.read_until("\r\n\r\n", 50);
  }
  CHECK(status_of(answer) == 408);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(2));
  // Who says nothing is left without a word.
  CHECK(idle.read_to_end().empty());
  CHECK(idle.ended());
}

TEST_CASE("sockets: what is no HTTP gets 400") {
  Site site;
  for (const char* wrong : {"HELLO\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
                            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                            "GET /\1 HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\x02\x00\x01\r\n\r\n"}) {
    Client client(site.port);
    client.send(wrong);
    const std::string response = client.response();
    CHECK_MESSAGE(status_of(response) == 400, wrong);
    CHECK(has(response, "\"error\":{\"message\":"));
    CHECK(client.read_to_end().empty());
  }
  Client client(site.port);
  client.send("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(40000, 'a') + "\r\n\r\n");
  CHECK(status_of(client.response()) == 431);
}

TEST_CASE("sockets: too many connections, a full queue") {
  ServerSettings settings = quick();
  settings.max_connections = 2;
  settings.header_timeout_ms = 10000;
  Site site(settings);
  Client one(site.port);
  one.send(get("/health"));
  CHECK(status_of(one.response()) == 200);
  {
    Client two(site.port);
    two.send(get("/health"));
    CHECK(status_of(two.response()) == 200);
    Client three(site.port);
    three.send(get("/health"));
    const std::string response = three.response();
    CHECK(status_of(response) == 429);
    CHECK(header(response, "Retry-After") == "1");
    CHECK(three.read_to_end().empty());
    CHECK(three.ended());
  }
  CHECK(wait_for([&] {
    Client again(site.port);
    again.send(get("/health"));
    return status_of(again.response()) == 200;
  }));
  site.engine.refusal = failure(Code::exhausted, "queue is full");
  one.send(chat(",\"stream\":true"));
  const std::string response = one.response();
  CHECK(status_of(response) == 429);
  CHECK(header(response, "Retry-After") == "1");
}

TEST_CASE("sockets: keys") {
  ServerSettings settings = quick();
  settings.api_keys = {"secret-key"};
  Site site(settings);
  CHECK(status_of(site.ask(get("/v1/models"))) == 401);
  CHECK(status_of(site.ask(get("/v1/models", "Authorization: Bearer secret-key\r\n"))) == 200);
  // Refused before the body is read.
  Client client(site.port);
  client.send("POST /tokenize HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n");
  const std::string response = client.response();
  CHECK(status_of(response) == 401);
  CHECK(header(response, "WWW-Authenticate") == "Bearer");
}

TEST_CASE("sockets: where it may listen") {
  FakeEngine engine;
  QuietLog log;
  auto service = openai_front_end();
  ServerSettings settings = quick();
  settings.host = "0.0.0.0";
  const auto open = service->start(settings, engine, log);
  REQUIRE_FALSE(open.ok());
  CHECK(has(open.status().message(), "without API keys only this machine may ask, but the address is 0.0.0.0:0"));
  settings.api_keys = {"secret-key"};
  CHECK(service->start(settings, engine, log).ok());
  settings = quick();
  settings.host = "localhost";
  const auto first = service->start(settings, engine, log);
  REQUIRE(first.ok());
  settings.host = "127.0.0.1";
  const auto second = service->start(settings, engine, log);
  REQUIRE(second.ok());
  settings.port = (*second)->port();
  const auto third = service->start(settings, engine, log);
  REQUIRE_FALSE(third.ok());
  CHECK(third.status().message() == "cannot listen on 127.0.0.1:" + std::to_string(settings.port) +
                                        ": another program does, expected a free port (0 takes any)");
  settings.host = "192.0.2.1";
  settings.api_keys = {"secret-key"};
  CHECK(has(service->start(settings, engine, log).status().message(), "cannot listen on 192.0.2.1"));
}

TEST_CASE("sockets: shutting down lets streams end") {
  Site site;
  site.engine.pause_ms = 30;
  Client stream(site.port), idle(site.port), kept(site.port);
  kept.send(get("/ready"));
  CHECK(status_of(kept.response()) == 200);
  stream.send(chat(",\"stream\":true"));
  stream.read_until("\"content\":\"H\"");
  std::thread down([&] { site.front_end->shut_down(); });
  std::string ready;
  CHECK(wait_for([&] {
    ready = site.ask(get("/ready"));
    return status_of(ready) == 503;
  }));
  CHECK(status_of(site.ask(chat())) == 503);
  const std::string rest = stream.read_to_end();
  CHECK(has(rest, "\"finish_reason\":\"stop\""));
  CHECK(has(rest, "data: [DONE]"));
  down.join();
  CHECK(site.engine.cancelled() == 0);
  CHECK(idle.read_to_end().empty());
  CHECK(Client(site.port).ended());
  site.front_end->shut_down();
}

TEST_CASE("sockets: shutting down cancels what goes on too long") {
  ServerSettings settings = quick();
  settings.shutdown_deadline_ms = 200;
  Site site(settings);
  site.engine.endless = true;
  site.engine.pause_ms = 5;
  Client stream(site.port), plain(site.port);
  stream.send(chat(",\"stream\":true"));
  plain.send(chat());
  stream.read_until("\"content\":\"H\"");
  CHECK(wait_for([&] { return site.engine.running() == 2; }));
  const auto began = std::chrono::steady_clock::now();
  site.front_end->shut_down();
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(3));
  CHECK(site.engine.cancelled() == 2);
  CHECK(has(stream.read_to_end(), "the request was cancelled by the server"));
  CHECK(status_of(plain.response()) == 503);
}

TEST_CASE("sockets: many streams at once") {
  Site site;
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(std::make_unique<Client>(site.port));
    clients.back()->send(chat(",\"stream\":true"));
  }
  for (const auto& client : clients) {
    const std::string all = client->read_until("0\r\n\r\n");
    CHECK(count(all, "\"content\"") == 13);
    CHECK(has(all, "data: [DONE]"));
  }
}
