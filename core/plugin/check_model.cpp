// A family's manners: an empty or mistyped config.json is a list of problems, never an exception, a crash or a hang.
#include <exception>

#include "core/plugin/check_parts.hpp"

namespace tare {
namespace {

// Takes everything and keeps counts: what a trace says is not judged here, `tare explain` does that.
class CountingRecorder final : public Recorder {
 public:
  Weight weight(std::string, Shape, Part, int32_t, Where) override { return {next_++}; }
  Constant constant(std::vector<float>) override { return {next_++}; }
  State state(std::string, StateKind) override { return {next_++}; }
  Tensor input(int32_t, std::string_view, Shape) override { return {next_++}; }
  void output(int32_t, std::string_view, Tensor, Where) override { ++outputs; }
  void record(const Call&, std::span<Tensor> results) override {
    for (Tensor& t : results) t = {next_++};
  }
  void error(Where, std::string) override { ++errors; }
  size_t outputs = 0, errors = 0;

 private:
  int32_t next_ = 0;
};

}  // namespace

void check_family(const ModelFamily& family, CheckSink& sink) {
  const std::string what = text("family '", family.id, "'");
  Config::Values wrong_types;
  for (const std::string& key : family.config_keys) wrong_types[key] = std::string("odd");
  const std::pair<const char*, Config::Values> configs[] = {{"an empty config.json", {}},
                                                            {"a config.json of strings", wrong_types}};
  size_t problems = 0;
  for (const Entry& entry : family.entries)
    for (const auto& [how, values] : configs) {
      sink.begin(text(what, ": entry '", entry.name, "' with ", how));
      const Config config(values);
      CountingRecorder recorder;
      Graph graph(recorder, 0);
      try {
        entry.trace(config, graph);
      } catch (const std::exception& e) {
        return sink.failed(what, text("entry '", entry.name, "' with ", how, " threw (", e.what(),
                                      "), expected problems with the model's lines"));
      }
      problems += config.problems().size() + recorder.errors;
    }
  if (family.config_keys.empty())
    sink.warning(what, "lists no config_keys: an unknown architecture cannot be compared with it");
  if (problems == 0)
    sink.warning(what, "finds no problem in an empty config.json: do its sizes come from elsewhere?");
  else
    sink.ok(what, text(family.entries.size(), " entries; empty and mistyped configs give ", problems, " problems"));
}

void check_program(const CProgram& program, CheckSink& sink) {
  const std::string what = text("C program '", program.id(), "'");
  const std::pair<const char*, std::string> configs[] = {
      {"no text", ""},
      {"an empty object", "{}"},
      {"half an object", "{\"hidden_size\": "},
      {"an unknown architecture", "{\"architectures\": [\"NoSuchModel\"]}"},
      {"ten thousand brackets", std::string(10000, '[')},
      {"a NUL inside", std::string("{\"a\": \"\0\"}", 10)}};
  size_t taken = 0;
  for (const auto& [how, config] : configs) {
    sink.begin(text(what, ": program() of ", how));
    const auto result = program.program(config);
    if (!result.ok()) continue;
    ++taken;
    if (!result->starts_with("tare-program 1\n"))
      return sink.failed(what, text(how, ": the text begins with '", result->substr(0, 20),
                                    "', expected 'tare-program 1' and a newline"));
  }
  sink.ok(what, text("answers ", std::size(configs), " odd configs, ", taken, " with a Program"));
}

}  // namespace tare
