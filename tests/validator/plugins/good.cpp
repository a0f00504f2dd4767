// A good plugin with one of everything that is small, and a service that says what it was handed.
#include "tests/validator/plugins/parts.hpp"
#include "tests/validator/plugins/probe.hpp"

namespace {
class HeardProbe final : public tare::test::Probe {
 public:
  explicit HeardProbe(bool heard) : heard_(heard) {}
  bool host_log_was_there() const override { return heard_; }

 private:
  bool heard_;
};

tare::Status register_good(tare::Registrar& registrar) {
  auto* log = registrar.query<tare::Log>();
  if (log != nullptr) log->info("good is here");
  registrar.add_model(tare::test::family("good", "GoodForCausalLM"));
  registrar.add_kernel(std::make_unique<tare::test::CopyKernel>("copy.good", "copy/1"));
  registrar.add_layout(std::make_unique<tare::test::RowsLayout>("dense/good-rows"));
  registrar.add_op({.op = "copy/1", .infer = [](const tare::OpCallInfo& call) -> tare::Result<tare::OpResults> {
                      return tare::OpResults{{call.inputs[0]}, {}, {}};
                    }});
  const bool unknown_is_null = registrar.query("no_such_thing/7") == nullptr;
  registrar.add_service("probe/1", std::static_pointer_cast<void>(std::shared_ptr<tare::test::Probe>(
                                       std::make_shared<HeardProbe>(log != nullptr && unknown_is_null))));
  return {};
}
}  // namespace

TARE_PLUGIN("org.test.good", "1.2.3", register_good)
