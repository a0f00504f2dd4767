// The recorder behind a Graph: checks every declaration and call by the op table and writes the Program. Mistakes are
// sticky: each becomes one sentence in Program::errors with the model's file and line, and what depends on it is
// skipped, so that one run shows them all. One thread [loader].
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "core/api/graph.hpp"
#include "core/program/op_table.hpp"
#include "core/program/program.hpp"

namespace tare {

// "llama.cpp:33", without folders.
std::string file_and_line(const Where& where);

class ProgramRecorder final : public Recorder {
 public:
  // Both must outlive the recorder.
  ProgramRecorder(Program& program, const OpTable& ops) : program_(&program), ops_(&ops) {}

  // Entries that follow belong to the index that is returned.
  int32_t begin_entry(std::string_view name);
  // Checks what only the end of an entry shows: has it any output?
  void end_entry(int32_t entry);

  Weight weight(std::string name, Shape shape, Part part, int32_t layer, Where where) override;
  Constant constant(std::vector<float> values) override;
  State state(std::string scope, StateKind kind) override;
  Tensor input(int32_t entry, std::string_view name, Shape shape) override;
  void output(int32_t entry, std::string_view name, Tensor value, Where where) override;
  void record(const Call& call, std::span<Tensor> results) override;
  void error(Where where, std::string sentence) override;
  // Moves the errors into the Program: the same mistake in many layers once, with its count.
  void finish();

 private:
  struct Mistake {
    std::string sentence;
    int64_t count = 1;
  };
  void mistake(std::string sentence);
  bool resolve(const Call& call, Node& node);  // handles to indices; false: poisoned, or refused with an error

  Program* program_;
  const OpTable* ops_;
  std::unordered_map<std::string, int32_t> weights_;    // name and begin of its part -> index
  std::unordered_map<std::string, int32_t> constants_;  // bytes -> index
  std::vector<Mistake> mistakes_;
  std::unordered_map<std::string, size_t> mistake_at_;  // without layers' numbers -> index
  std::vector<char> has_output_;                        // by entry
};

}  // namespace tare
