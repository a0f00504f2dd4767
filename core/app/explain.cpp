#include "core/app/explain.hpp"

#include <boost/json.hpp>
#include <iomanip>
#include <map>
#include <ostream>
#include <sstream>

#include "core/app/pipelines.hpp"
#include "core/base/progress.hpp"
#include "core/program/ledger_of.hpp"
#include "core/program/listing.hpp"

namespace tare {
namespace {

// "linear/1+add/1 n=2048 k=2048" of a step: what makes two steps alike.
std::string shape_of(const PlanStep& step) {
  std::string out;
  for (const ProblemOp& op : step.problem.ops) {
    out += text(out.empty() ? "" : " + ", op.op);
    for (const auto& weight : op.weights)
      if (weight) out += text(" [", weight->outputs(), " x ", weight->inputs(), "]");
  }
  return out;
}
std::string choice_of(const PlanStep& step, const Settlement& settlement) {
  std::string layouts;
  for (int32_t w : step.weights)
    if (w >= 0) {
      const std::string& layout = settlement.layouts[static_cast<size_t>(w)];
      if (layouts.find(layout) == std::string::npos) layouts += (layouts.empty() ? "" : ", ") + layout;
    }
  return text(step.choice.kernel->id(), step.choice.config.empty() ? "" : " " + to_string(step.choice.config),
              layouts.empty() ? "" : ", weights in " + layouts, ", numerics ", step.choice.numerics, ", by ",
              name(step.choice.ending), step.choice.note.empty() ? "" : " (" + step.choice.note + ")");
}

// Steps that are alike are one row with a count.
struct Row {
  int64_t count = 0;
  const PlanStep* first = nullptr;
};
std::vector<std::pair<std::string, Row>> rows_of(const Plan& plan, const Settlement& settlement) {
  std::vector<std::pair<std::string, Row>> rows;
  std::map<std::string, size_t> at;
  for (const PlanStep& step : plan.steps) {
    const std::string key = shape_of(step) + "\n" + choice_of(step, settlement);
    const auto [found, fresh] = at.try_emplace(key, rows.size());
    if (fresh) rows.push_back({key, {0, &step}});
    ++rows[found->second].second.count;
  }
  return rows;
}

std::string microseconds(double us) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(us < 100 ? 1 : 0) << us << " us";
  return out.str();
}
void print_pipelines(const std::vector<PipelineGroup>& groups, std::ostream& out) {
  out << "Pipelines by matrix and rows\n";
  for (const PipelineGroup& group : groups) {
    out << "  " << std::setw(4) << group.count << " x " << group.matrices << " [" << group.sizes << "], "
        << group.layout << '\n';
    for (size_t r = 0; r < group.ranges.size(); ++r) {
      const PipelineRange& first = group.ranges[r];
      size_t end = r;  // neighbours with one choice and one reason are one line
      const auto same = [&](const PipelineRange& a) {
        return a.kernel == first.kernel && a.config == first.config && a.ending == first.ending && a.note == first.note;
      };
      while (end + 1 < group.ranges.size() && same(group.ranges[end + 1]) && group.ranges[end + 1].us == 0) ++end;
      const PipelineRange& last = group.ranges[end];
      const std::string rows = first.first == last.last ? text(last.last) : text(first.first, "-", last.last);
      out << "         " << std::left << std::setw(9) << rows << std::right << first.kernel
          << (first.config.empty() ? "" : " " + first.config) << ", " << name(first.ending)
          << (first.note.empty() ? "" : " (" + first.note + ")") << (last.us > 0 ? ", " + microseconds(last.us) : "")
          << '\n';
      r = end;
    }
  }
  out << '\n';
}
boost::json::array json_of(const std::vector<PipelineGroup>& groups) {
  boost::json::array out;
  for (const PipelineGroup& group : groups) {
    boost::json::array ranges;
    for (const PipelineRange& r : group.ranges)
      ranges.push_back({{"first", r.first},
                        {"last", r.last},
                        {"kernel", r.kernel},
                        {"config", r.config},
                        {"numerics", r.numerics},
                        {"ending", name(r.ending)},
                        {"note", r.note},
                        {"us", r.us}});
    out.push_back({{"matrices", group.matrices},
                   {"count", group.count},
                   {"sizes", group.sizes},
                   {"layout", group.layout},
                   {"problems", boost::json::array(group.problems.begin(), group.problems.end())},
                   {"ranges", ranges}});
  }
  return out;
}

}  // namespace

std::string memory_table(const std::string& name, const MemoryPlan& memory, const ExecutorOptions& limits) {
  std::ostringstream out;
  const auto line = [&](const char* what, int64_t bytes, const std::string& note) {
    out << "  " << std::left << std::setw(11) << what << std::right << std::setw(12) << human_bytes(bytes) << "  "
        << note << '\n';
  };
  out << "memory ledger of " << name << '\n';
  line("weights", memory.weights, "");
  line("workspace", memory.workspace, text("steps of up to ", limits.max_step_tokens, " tokens"));
  line("state", memory.state,
       text(memory.state_tokens, " tokens of ", human_bytes(memory.state_bytes_per_token), ", contexts of up to ",
            limits.context));
  line("total", memory.total(), "");
  return out.str();
}

void explain(const PlannedModel& model, const Plan& plan, const DeviceInfo& device, const TuningStore* tuning,
             std::ostream& out) {
  const Program& program = *model.description.program;
  out << "Program\n" << listing(program, 0) << '\n';
  const ProgramLedger ledger = ledger_of(program);
  out << grouped(ledger.parameters) << " parameters, activations in " << name(program.dtype) << "\n\n";
  out << "Plan for " << to_string(plan.bucket) << " on " << device.id << " (" << device.name << ")\n";
  for (const auto& [key, row] : rows_of(plan, model.settlement)) {
    const size_t cut = key.find('\n');
    out << "  " << std::setw(4) << row.count << " x " << key.substr(0, cut) << "\n         " << key.substr(cut + 1)
        << '\n';
    for (const PassedOver& p : row.first->passed_over) out << "           not " << p.kernel << ": " << p.reason << '\n';
  }
  out << "  arena " << human_bytes(plan.arena_bytes) << " (" << human_bytes(plan.sum_bytes)
      << " were nothing shared)\n\n";
  print_pipelines(pipelines_of(program, model.settlement, model.plans, tuning), out);
  out << memory_table(model.description.checkpoint.name, model.memory, model.executor);
  for (const std::string& note : model.description.checkpoint.notes) out << "  note: " << note << '\n';
  if (!model.load_note.empty()) out << "  note: " << model.load_note << '\n';
}

std::string explain_json(const PlannedModel& model, const Plan& plan, const TuningStore* tuning) {
  const Program& program = *model.description.program;
  boost::json::array steps, weights;
  for (const PlanStep& step : plan.steps) {
    boost::json::array nodes, passed;
    for (int32_t n : step.nodes) nodes.push_back(boost::json::string(program.nodes[static_cast<size_t>(n)].op));
    for (const PassedOver& p : step.passed_over) passed.push_back({{"kernel", p.kernel}, {"reason", p.reason}});
    steps.push_back({{"ops", nodes},
                     {"scope", program.nodes[static_cast<size_t>(step.nodes.front())].scope},
                     {"kernel", step.choice.kernel->id()},
                     {"config", to_string(step.choice.config)},
                     {"numerics", step.choice.numerics},
                     {"ending", name(step.choice.ending)},
                     {"scratch_bytes", step.scratch_bytes},
                     {"passed_over", passed}});
  }
  for (size_t w = 0; w < program.weights.size(); ++w)
    weights.push_back({{"name", program.weights[w].name},
                       {"shape", to_string(program.weights[w].shape)},
                       {"layout", model.settlement.layouts[w]}});
  const ProgramLedger ledger = ledger_of(program);
  return boost::json::serialize(boost::json::object{
      {"model", model.description.checkpoint.name},
      {"family", model.description.family != nullptr ? model.description.family->id : "c_program"},
      {"dtype", name(program.dtype)},
      {"parameters", ledger.parameters},
      {"bucket",
       {{"tokens", plan.bucket.tokens}, {"sequences", plan.bucket.sequences}, {"logit_rows", plan.bucket.logit_rows}}},
      {"steps", steps},
      {"weights", weights},
      {"pipelines", json_of(pipelines_of(program, model.settlement, model.plans, tuning))},
      {"arena_bytes", plan.arena_bytes},
      {"stored_weights", model.num_stored},
      {"copied_weights", model.num_copied},
      {"memory",
       {{"weights", model.memory.weights},
        {"workspace", model.memory.workspace},
        {"state", model.memory.state},
        {"state_tokens", model.memory.state_tokens},
        {"state_bytes_per_token", model.memory.state_bytes_per_token},
        {"total", model.memory.total()}}}});
}

}  // namespace tare
