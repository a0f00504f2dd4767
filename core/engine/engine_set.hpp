// EngineSet: the models of a server side by side, each with its own engine and thread, behind one EngineClient. Thread
// rule: create, then [any thread].
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "core/engine/model_engine.hpp"

namespace tare {

// A model to serve. `model.text`, if any, must outlive the set.
struct EngineModel {
  ServedModel model;  // context and vocabulary come from the executor
  std::unique_ptr<Executor> executor;
  ModelEngineOptions options;  // request numbers are the set's
};

class EngineSet final : public EngineClient {
 public:
  // Starts one engine a model. Refuses no models, two of one name, and what ModelEngine::start refuses.
  static Result<std::unique_ptr<EngineSet>> start(std::vector<EngineModel> models);
  ~EngineSet() override;

  std::vector<ServedModel> models() const override;
  Result<uint64_t> submit(GenerateRequest request, EventSink sink) override;
  void cancel(uint64_t request) override;
  EngineStatistics statistics(std::string_view model) const override;  // all zero: no such model
  bool ready() const noexcept override;                                // every model takes requests

  // Refuses new requests, lets accepted ones end until `deadline` from now, cancels the rest, ends the threads. Not to
  // be called from an event sink.
  void shut_down(std::chrono::milliseconds deadline);

 private:
  EngineSet() = default;
  const ModelEngine* find(std::string_view name) const noexcept;
  std::vector<std::unique_ptr<ModelEngine>> engines_;
};

}  // namespace tare
