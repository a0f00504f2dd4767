#include "core/engine/engine_set.hpp"

#include <algorithm>

namespace tare {

Result<std::unique_ptr<EngineSet>> EngineSet::start(std::vector<EngineModel> models) {
  if (models.empty()) return invalid("no model to serve, expected at least one");
  std::unique_ptr<EngineSet> set(new EngineSet);
  for (size_t i = 0; i < models.size(); ++i) {
    EngineModel& model = models[i];
    if (set->find(model.model.name) != nullptr)
      return invalid("model name '", model.model.name, "' is given twice, expected one model a name");
    // Engine i numbers its requests i + 1, i + 1 + engines, ..: a number alone tells whose it is.
    model.options.first_request = i + 1;
    model.options.request_stride = models.size();
    TARE_ASSIGN_OR_RETURN(auto engine,
                          ModelEngine::start(std::move(model.model), std::move(model.executor), model.options));
    set->engines_.push_back(std::move(engine));
  }
  return set;
}

EngineSet::~EngineSet() { shut_down(std::chrono::milliseconds(0)); }

const ModelEngine* EngineSet::find(std::string_view name) const noexcept {
  for (const auto& engine : engines_)
    if (engine->model().name == name) return engine.get();
  return nullptr;
}

std::vector<ServedModel> EngineSet::models() const {
  std::vector<ServedModel> models;
  for (const auto& engine : engines_) models.push_back(engine->model());
  return models;
}

Result<uint64_t> EngineSet::submit(GenerateRequest request, EventSink sink) {
  for (const auto& engine : engines_)
    if (engine->model().name == request.model) return engine->submit(std::move(request), std::move(sink));
  std::string served;
  for (const auto& engine : engines_) served += text(served.empty() ? "" : ", ", engine->model().name);
  return failure(Code::not_found, "model '", request.model, "' is not served here, expected one of: ", served);
}

void EngineSet::cancel(uint64_t request) {
  if (request != 0) engines_[(request - 1) % engines_.size()]->cancel(request);
}

EngineStatistics EngineSet::statistics(std::string_view model) const {
  const ModelEngine* engine = find(model);
  return engine == nullptr ? EngineStatistics{} : engine->statistics();
}

bool EngineSet::ready() const noexcept {
  return std::ranges::all_of(engines_, [](const auto& engine) { return engine->ready(); });
}

void EngineSet::shut_down(std::chrono::milliseconds deadline) {
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24);  // a clock's range is not endless
  const auto at = std::chrono::steady_clock::now() + std::clamp(deadline, std::chrono::milliseconds(0), kLongest);
  for (const auto& engine : engines_) engine->begin_drain();
  for (const auto& engine : engines_) engine->shut_down(at);
}

}  // namespace tare
