// Tracing: a family's entries run once over a config, on shapes and names alone, and leave a Program. [loader]
#pragma once
#include "core/api/model.hpp"
#include "core/program/op_table.hpp"
#include "core/program/program.hpp"

namespace tare {

struct TraceOptions {
  DType dtype = DType::bf16;  // of activations: bf16 or f32
};

// The Program of all entries. Refused with every mistake found, one a line: missing and mistyped config keys, wrong
// shapes, unknown ops, ... each with the model's file and line.
Result<Program> trace(const ModelFamily& family, const Config& config, const TraceOptions& options, const OpTable& ops);

// The same, with the mistakes left in Program::errors.
Program trace_with_errors(const ModelFamily& family, const Config& config, const TraceOptions& options,
                          const OpTable& ops);

}  // namespace tare
