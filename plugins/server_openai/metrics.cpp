#include "plugins/server_openai/metrics.hpp"

#include <algorithm>
#include <charconv>

namespace tare::server {
namespace {

template <class T>
std::string number(T value) {
  char digits[40];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

std::string label(std::string_view name, std::string_view value) {
  std::string out(name);
  out += "=\"";
  for (char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + "\"";
}

void head(std::string_view name, std::string_view type, std::string_view help, std::string* out) {
  *out += text("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
}
void sample(std::string_view name, std::string_view labels, std::string_view value, std::string* out) {
  *out += text(name, labels.empty() ? "" : "{", labels, labels.empty() ? "" : "}", " ", value, "\n");
}

struct Series {
  std::string_view name, type, help;
  std::string (*value)(const EngineStatistics&);
};
using S = const EngineStatistics&;
constexpr Series kSeries[] = {
    {"tare_requests_running", "gauge", "Requests that are being generated.", [](S s) { return number(s.running); }},
    {"tare_requests_waiting", "gauge", "Requests in the queue.", [](S s) { return number(s.waiting); }},
    {"tare_prompt_tokens_total", "counter", "Prompt tokens processed.", [](S s) { return number(s.prompt_tokens); }},
    {"tare_output_tokens_total", "counter", "Tokens generated.", [](S s) { return number(s.output_tokens); }},
    {"tare_requests_finished_total", "counter", "Requests that ended by themselves.",
     [](S s) { return number(s.requests_finished); }},
    {"tare_requests_failed_total", "counter", "Requests that ended with an error.",
     [](S s) { return number(s.requests_failed); }},
    {"tare_requests_cancelled_total", "counter", "Requests that were cancelled.",
     [](S s) { return number(s.requests_cancelled); }},
    {"tare_requests_refused_total", "counter", "Requests that the engine did not take.",
     [](S s) { return number(s.requests_refused); }},
    {"tare_state_pages_used", "gauge", "State pages in use.", [](S s) { return number(s.state_pages_used); }},
    {"tare_state_pages", "gauge", "State pages there are.", [](S s) { return number(s.state_pages_total); }},
    {"tare_steps_total", "counter", "Steps of the engine.", [](S s) { return number(s.steps); }},
    {"tare_step_seconds_total", "counter", "Time spent in steps.", [](S s) { return number(s.step_seconds); }},
};

}  // namespace

void Histogram::observe(double seconds) noexcept {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  counts_[static_cast<size_t>(bound - kBounds.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(static_cast<int64_t>(seconds * 1e9), std::memory_order_relaxed);
}

void Histogram::print(std::string_view name, std::string_view labels, std::string* out) const {
  int64_t below = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i].load(std::memory_order_relaxed);
    const std::string bound = i < kBounds.size() ? number(kBounds[i]) : "+Inf";
    sample(text(name, "_bucket"), text(labels, ",le=\"", bound, "\""), number(below), out);
  }
  sample(text(name, "_sum"), labels, number(static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) * 1e-9), out);
  sample(text(name, "_count"), labels, number(below), out);
}

Metrics::Metrics(const std::vector<ServedModel>& models) {
  for (const ServedModel& model : models) {
    latencies_.push_back(std::make_unique<ModelLatency>());
    latencies_.back()->model = model.name;
  }
}

void Metrics::count_request(std::string_view route, int status) {
  std::lock_guard lock(mutex_);
  ++requests_[{std::string(route), status}];
}

ModelLatency* Metrics::latency(std::string_view model) noexcept {
  for (const auto& latency : latencies_)
    if (latency->model == model) return latency.get();
  return nullptr;
}

std::string Metrics::print(const EngineClient& engine) const {
  std::string out;
  std::vector<std::pair<std::string, EngineStatistics>> models;
  for (const auto& latency : latencies_)
    models.emplace_back(label("model", latency->model), engine.statistics(latency->model));
  for (const Series& series : kSeries) {
    head(series.name, series.type, series.help, &out);
    for (const auto& [labels, statistics] : models) sample(series.name, labels, series.value(statistics), &out);
  }
  head("tare_time_to_first_token_seconds", "histogram", "From the request to its first token.", &out);
  for (const auto& latency : latencies_)
    latency->first_token.print("tare_time_to_first_token_seconds", label("model", latency->model), &out);
  head("tare_time_per_output_token_seconds", "histogram", "Between two tokens of an answer.", &out);
  for (const auto& latency : latencies_)
    latency->output_token.print("tare_time_per_output_token_seconds", label("model", latency->model), &out);
  head("tare_http_connections", "gauge", "Open connections.", &out);
  sample("tare_http_connections", "", number(connections_.load()), &out);
  head("tare_http_requests_total", "counter", "Answered HTTP requests.", &out);
  std::lock_guard lock(mutex_);
  for (const auto& [key, count] : requests_)
    sample("tare_http_requests_total", label("route", key.first) + "," + label("code", std::to_string(key.second)),
           number(count), &out);
  return out;
}

}  // namespace tare::server
