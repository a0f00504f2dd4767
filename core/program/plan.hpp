// Plan: one rank's Program, one entry, one device and batch bucket -> which kernel takes which nodes, and where each
// buffer lies in one arena. Costs nothing to make; the whole workspace is known to the byte before a device is touched.
// Plain values, [any thread].
#pragma once
#include "core/api/device.hpp"
#include "core/program/op_table.hpp"
#include "core/program/program.hpp"
#include "core/registry/selection.hpp"

namespace tare {

// The most that a step of this bucket may have.
struct Bucket {
  int64_t tokens = 1, sequences = 1, logit_rows = 1;
  int64_t rows(const Shape& shape) const noexcept;  // of the leading dimension; 1 when it is no row axis
  int64_t bytes(const TensorInfo& info) const noexcept;
  bool operator==(const Bucket&) const = default;
};
std::string to_string(const Bucket& bucket);

// What holds for all buckets of a model: one resident layout for each weight, one order of sums for each node.
struct Settlement {
  std::vector<std::string> layouts;   // by weight
  std::vector<std::string> numerics;  // by node
};

struct PlanStep {
  std::vector<int32_t> nodes;  // a chain of neighbours; usually one
  Choice choice;
  Problem problem;
  std::vector<int32_t> inputs, outputs;  // values: what Launch::inputs and outputs are
  std::vector<int32_t> weights;          // by op and position; kAbsent where there is none
  int32_t state = kAbsent;
  int64_t scratch_offset = 0, scratch_bytes = 0;
  std::vector<PassedOver> passed_over;  // for explain
};

struct Placed {
  int64_t offset = -1, bytes = 0;  // offset -1: only a chain sees it, it never reaches memory
  int32_t first_step = -1, last_step = -1;
  bool in_place = false;  // it took its input's bytes
};

struct Plan {
  int32_t entry = 0;
  Bucket bucket;
  std::vector<PlanStep> steps;
  std::vector<Placed> values;              // by value
  int64_t arena_bytes = 0, sum_bytes = 0;  // sum: were nothing shared
};

struct PlanContext {
  const Program& program;
  int32_t entry = 0;
  const Registry& registry;
  const OpTable& ops;
  const DeviceInfo& device;
  bool deterministic = true;
  bool references_only = false;  // every op by its oracle: for tests
  const TuningLookup* tuning = nullptr;
  // Layouts that somebody else chose (a bundle, the planner), by weight; empty: open.
  std::span<const std::string> chosen_layouts;
};

// Finds what all `buckets` share: for each node the first candidate whose order of sums is offered in every bucket, for
// each weight a layout that all its users read. Refused with the reasons when there is none.
Result<Settlement> settle(const PlanContext& context, std::span<const Bucket> buckets);
Result<Plan> make_plan(const PlanContext& context, const Settlement& settlement, const Bucket& bucket);

// A weight as a layout and a kernel see it: its last dimensions are a row.
WeightInfo weight_info(const Program& program, int32_t weight);
// The text entry with sample/1 behind its logits, and an output "token".
Program with_sampling(const Program& program);

}  // namespace tare
