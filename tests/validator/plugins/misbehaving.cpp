// Misbehaves in the way that the host names by its interface "test_case/1", a std::string.
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "tests/validator/plugins/parts.hpp"

namespace {
std::string chosen;  // set once, at registration
bool is(std::string_view name) { return chosen == name; }

class OddKernel final : public tare::test::CopyKernel {
 public:
  OddKernel() : CopyKernel("odd.kernel", "activate/1") {}
  ~OddKernel() override {
    if (is("crash_unload")) std::raise(SIGSEGV);
  }
  tare::Verdict supports(const tare::Problem& problem) const noexcept override {
    // Looks before it asks whether there is anything.
    if (is("crash_supports") && problem.first().inputs.data()->shape.size() > 100) return tare::Verdict::yes();
    if (is("hidden_hang") && problem.rows == 512) std::this_thread::sleep_for(std::chrono::hours(1));
    return is("yes_to_all") ? tare::Verdict::yes() : CopyKernel::supports(problem);
  }
  tare::KernelConfig fallback(const tare::Problem& problem) const override {
    if (is("own_fallback")) return {{"stride", int64_t{1}}};
    return CopyKernel::fallback(problem);
  }
  std::string numerics(const tare::Problem& problem) const override {
    if (is("throwing_question")) throw std::out_of_range("no such table");
    return CopyKernel::numerics(problem);
  }
};

class OddLayout final : public tare::test::RowsLayout {
 public:
  OddLayout() : RowsLayout("odd/rows") {}
  tare::Status encode(const tare::WeightInfo& weight, int64_t begin, int64_t end, const void* plain,
                      void* out) const override {
    const tare::Status status = RowsLayout::encode(weight, begin, end, plain, out);
    auto* bytes = static_cast<unsigned char*>(out);
    if (is("lost_bit") && end > 30) bytes[30 * weight.inputs() * 2] &= 0xfe;
    if (is("overrun")) bytes[weight.outputs() * weight.inputs() * 2] = 1;
    return status;
  }
  tare::Verdict check(const tare::WeightInfo& weight, std::span<const std::byte> in) const noexcept override {
    return is("trusting") ? tare::Verdict::yes() : RowsLayout::check(weight, in);
  }
};

void throwing_trace(const tare::Config& config, tare::Graph&) {
  if (!config.has("hidden_size")) throw std::invalid_argument("hidden_size");
}

tare::Status register_odd(tare::Registrar& registrar) {
  if (const void* name = registrar.query("test_case/1")) chosen = *static_cast<const std::string*>(name);
  if (is("empty")) return {};
  if (is("crash_register")) std::raise(SIGSEGV);
  if (is("hang_register")) std::this_thread::sleep_for(std::chrono::hours(1));
  if (is("exit_register")) std::exit(0);
  if (is("throwing_trace")) {
    tare::ModelFamily family = tare::test::family("odd", "OddForCausalLM");
    family.entries[0].trace = throwing_trace;
    registrar.add_model(std::move(family));
  }
  registrar.add_kernel(std::make_unique<OddKernel>());
  registrar.add_layout(std::make_unique<OddLayout>());
  return {};
}
}  // namespace

TARE_PLUGIN("org.test.misbehaving", "1.0.0", register_odd)
