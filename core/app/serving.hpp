// Serving: from settings to a server that answers: devices, models under one ledger, engine, front end. [main thread]
#pragma once
#include <memory>

#include "core/app/host.hpp"
#include "core/app/model.hpp"
#include "core/config/settings.hpp"
#include "core/engine/engine_set.hpp"

namespace tare {

class ServingMark;

// What `serve --check` prints, and the first thing that serving does: every model planned, nothing allocated.
struct ServingPlan {
  std::string device_id;
  std::vector<PlannedModel> models;  // in the settings' order
  std::vector<LoadOptions> options;
  int64_t device_bytes = 0, budget_bytes = 0;
};
// `may_measure`: whether [tuning] on_miss = "tune" is obeyed here; a check measures nothing.
Result<ServingPlan> plan_serving(const Host& host, const Settings& settings, bool may_measure);
std::string to_string(const ServingPlan& plan);

class Serving {
 public:
  // Loads every model, starts the engine and listens. A failure takes down what was begun.
  static Result<std::unique_ptr<Serving>> start(const Host& host, const Settings& settings, ServingPlan plan);
  ~Serving();
  std::string url() const;
  // No new requests, streams finish within the deadline. Idempotent.
  void shut_down();

 private:
  Serving() = default;
  std::unique_ptr<Device> device_;
  std::unique_ptr<ServingMark> mark_;  // tells autotuners that the device serves
  std::vector<LoadedModel> models_;
  std::unique_ptr<EngineSet> engine_;
  std::unique_ptr<FrontEnd> front_end_;
  ServerSettings server_;
};

}  // namespace tare
