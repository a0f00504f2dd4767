#include "core/program/trace.hpp"

#include <algorithm>
#include <exception>

#include "core/program/recorder.hpp"

namespace tare {

Program trace_with_errors(const ModelFamily& family, const Config& config, const TraceOptions& options,
                          const OpTable& ops) {
  Program program;
  program.dtype = options.dtype;
  ProgramRecorder recorder(program, ops);
  const size_t problems_before = config.problems().size();
  bool has_text = false;
  for (const Entry& entry : family.entries) {
    has_text |= entry.name == "text";
    const int32_t index = recorder.begin_entry(entry.name);
    Graph graph(recorder, index);
    try {
      if (entry.trace == nullptr)
        recorder.error(Where::current(), text("entry ", entry.name, " of family ", family.id, " has no function"));
      else
        entry.trace(config, graph);
      recorder.end_entry(index);
    } catch (const std::exception& e) {  // a plugin's code: nothing throws across the door
      recorder.error(Where::current(), text("entry ", entry.name, " of family ", family.id, " threw: ", e.what()));
    } catch (...) {
      recorder.error(Where::current(), text("entry ", entry.name, " of family ", family.id, " threw"));
    }
  }
  if (!has_text) program.errors.push_back(text("family ", family.id, ": wanted an entry 'text', found none"));
  // A key that every layer asks for is one problem. Config's come first: shapes are often wrong because of them.
  for (size_t i = problems_before; i < config.problems().size(); ++i)
    if (std::ranges::find(program.errors, config.problems()[i]) == program.errors.end())
      program.errors.push_back(config.problems()[i]);
  recorder.finish();
  return program;
}

Result<Program> trace(const ModelFamily& family, const Config& config, const TraceOptions& options,
                      const OpTable& ops) {
  if (options.dtype != DType::bf16 && options.dtype != DType::f32)
    return invalid("activations of ", name(options.dtype), " are not supported, expected bf16 or f32");
  Program program = trace_with_errors(family, config, options, ops);
  if (program.errors.empty()) return program;
  std::string all;
  for (const std::string& error : program.errors) all += (all.empty() ? "" : "\n") + error;
  return Status(Code::invalid, std::move(all));
}

}  // namespace tare
