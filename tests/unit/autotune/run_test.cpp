// The tuner on an invented device with invented kernels, whose times and bits the tests choose.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>

#include "autotune/run/numbers.hpp"
#include "autotune/run/peak.hpp"
#include "autotune/run/qualify.hpp"
#include "autotune/run/recheck.hpp"
#include "autotune/store/problem_text.hpp"
#include "autotune/store/tuning_folder.hpp"
#include "core/device/null_device.hpp"
#include "tests/unit/plan/fake_kernels.hpp"

namespace tare {
namespace {

// Seconds that launches say they took.
class FakeTimer final : public LaunchTimer {
 public:
  Status run(Stream&, const std::function<Status()>& launch) override { return launch(); }
  double now() override { return seconds; }
  double seconds = 0;
};

struct Facts {
  std::string id, numerics = "n", layout = "dense/rows";
  std::vector<int64_t> speeds{4, 1, 2};  // of the configs 0, 1, ..: microseconds a row
  int64_t most_outputs = 1 << 20;        // supports() larger products no more
  int64_t wrong = -1;                    // the config that gives other bits
  std::string hash = "h1";
  // What the machine makes of a launch's time: a factor, by config and how many launches that config had. Empty: 1.
  std::function<double(int64_t config, int64_t launch)> noise = {};
};
// Sums the bytes of x and of the weights into every output byte: no arithmetic to speak of, but bits that depend on all
// that a product depends on.
class TimedKernel final : public KernelCandidate {
 public:
  TimedKernel(Facts facts, FakeTimer& timer) : f_(std::move(facts)), timer_(timer) {}
  std::string_view id() const noexcept override { return f_.id; }
  std::string_view device_kind() const noexcept override { return "fake"; }
  std::vector<std::string> takes() const override { return {"linear/1"}; }
  Verdict supports(const Problem& problem) const noexcept override {
    return problem.first().weights[0]->outputs() <= f_.most_outputs ? Verdict::yes() : Verdict::no("too large");
  }
  std::string numerics(const Problem&) const override { return f_.numerics; }
  std::vector<std::string> layouts(const Problem&, size_t, size_t position) const override {
    return {position % 2 == 0 ? f_.layout : "dense/rows"};
  }
  KernelConfig fallback(const Problem&) const override { return {{"config", int64_t{0}}}; }
  std::vector<KernelConfig> space(const Problem&) const override {
    std::vector<KernelConfig> out;
    for (size_t i = 0; i < f_.speeds.size(); ++i) out.push_back({{"config", static_cast<int64_t>(i)}});
    return out;
  }
  std::string hash() const override { return f_.hash; }
  Result<std::unique_ptr<Instance>> instance(Device&, const Problem&, const KernelConfig& config) const override {
    return std::unique_ptr<Instance>(std::make_unique<Run>(*this, std::get<int64_t>(config[0].value)));
  }

 private:
  struct Run final : Instance {
    Run(const TimedKernel& kernel, int64_t config) : k(kernel), c(config) {}
    Status launch(const Launch& l) noexcept override {
      const TensorView& x = l.inputs[0];
      for (size_t o = 0; o < l.outputs.size(); ++o)
        for (int64_t r = 0; r < x.rows(); ++r) {
          uint8_t sum = k.f_.wrong == c ? 1 : 0;
          for (int64_t i = 0; i < x.row_elements() * size_of(x.dtype); ++i)
            sum = static_cast<uint8_t>(sum * 3 + reinterpret_cast<const uint8_t*>(x.row<bf16>(r))[i]);
          std::memset(reinterpret_cast<std::byte*>(l.outputs[o].data) +
                          r * l.outputs[o].row_stride * size_of(l.outputs[o].dtype),
                      sum, static_cast<size_t>(l.outputs[o].row_elements() * size_of(l.outputs[o].dtype)));
        }
      const double factor = k.f_.noise ? k.f_.noise(c, k.launches_[c]++) : 1;
      k.timer_.seconds += factor * 1e-6 * static_cast<double>(k.f_.speeds[static_cast<size_t>(c)] * (10 + x.rows()));
      return {};
    }
    const TimedKernel& k;
    int64_t c;
  };
  const Facts f_;
  FakeTimer& timer_;
  mutable std::map<int64_t, int64_t> launches_;  // by config
};
class CopyLayout final : public Layout {
 public:
  explicit CopyLayout(std::string id) : id_(std::move(id)) {}
  std::string_view id() const noexcept override { return id_; }
  Verdict supports(const WeightInfo&) const noexcept override { return Verdict::yes(); }
  int64_t bytes(const WeightInfo& w) const noexcept override { return w.outputs() * w.inputs() * size_of(w.dtype); }
  Status encode(const WeightInfo& w, int64_t begin, int64_t end, const void* plain, void* out) const override {
    const int64_t row = w.inputs() * size_of(w.dtype);
    std::memcpy(static_cast<std::byte*>(out) + begin * row, plain, static_cast<size_t>((end - begin) * row));
    return {};
  }
  Status decode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override { return {}; }

 private:
  std::string id_;
};

// A device of an invented SKU, its kernels, an empty database.
class Bench {
 public:
  explicit Bench(std::vector<Facts> facts) : device(int64_t{1} << 28) {
    info.id = "fake:0", info.kind = "fake", info.name = "Acme NPU 1", info.architecture = "acme1";
    info.sku = "acme-npu-1", info.units = 7;
    std::vector<const KernelCandidate*> kernels;
    for (Facts& f : facts) kernels_.push_back(std::make_unique<TimedKernel>(std::move(f), timer));
    for (const auto& k : kernels_) kernels.push_back(k.get());
    for (const char* id : {"dense/rows", "w12/rows"}) layouts_.push_back(std::make_unique<CopyLayout>(id));
    std::vector<const Layout*> layouts;
    for (const auto& l : layouts_) layouts.push_back(l.get());
    registry = Registry(kernels, layouts);
    folder = std::filesystem::temp_directory_path() / text("tare-tuner-", ::getpid());
    std::filesystem::remove_all(folder);
    database = std::move(TuningDatabase::open(path()).value().database);
    const Problem p = plain_product(info, 32, 16, 8);
    problems = {{p, to_string(p), {1, 8}}};
    options.cold_bytes = 4096, options.timer = &timer, options.versions = "test";
    options.now = [this] { return timer.seconds; };
  }
  ~Bench() { std::filesystem::remove_all(folder); }
  std::string path() const { return (folder / "tuning.db").string(); }
  TunerOutcome tune() {
    auto out = tare::tune(device, info, registry, problems, *database, options);
    REQUIRE_MESSAGE(out.ok(), out.status().message());
    return std::move(*out);
  }

  NullDevice device;
  DeviceInfo info;
  FakeTimer timer;
  Registry registry;
  std::filesystem::path folder;
  std::unique_ptr<TuningDatabase> database;
  std::vector<TuningProblem> problems;
  TunerOptions options;

 private:
  std::vector<std::unique_ptr<TimedKernel>> kernels_;
  std::vector<std::unique_ptr<CopyLayout>> layouts_;
};
using KeyState = KeyOutcome::State;

TEST_CASE("the fastest exact config wins at every rows point, and a second run measures nothing") {
  Bench b({{.id = "acme.a"}});
  const TunerOutcome first = b.tune();
  REQUIRE(first.keys.size() == 2);
  for (const KeyOutcome& k : first.keys) {
    CHECK(k.state == KeyState::tuned);
    CHECK(k.entry.value.config == "{config = 1}");
    CHECK(k.entry.value.runner_up == "acme.a {config = 2}");
    CHECK(k.entry.value.baseline == "acme.a {config = 0}");
    CHECK(k.entry.value.baseline_us == doctest::Approx(4 * k.entry.value.us));
    CHECK(k.entry.value.exact);
    CHECK(k.entry.value.hash == "h1");
  }
  CHECK(first.keys[1].entry.value.first_us == doctest::Approx(10 + 5));  // the bucket of 8 begins at 5 rows
  CHECK(first.keys[1].entry.value.us == doctest::Approx(10 + 8));
  const double before = b.timer.seconds;
  const TunerOutcome second = b.tune();
  CHECK(second.count(KeyState::known) == 2);
  CHECK(second.keys[0].tried.size() == 3);
  CHECK(b.timer.seconds == before);
}
TEST_CASE("where no rate of arithmetic can be measured, one row's rules out nothing at more rows") {
  // Of products as large as a rate is measured with, the kernel takes none; eight rows take less than twice one's time.
  Bench b({{.id = "acme.a", .most_outputs = 512}});
  b.options.bytes_per_second = 1e12;
  const TunerOutcome out = b.tune();
  REQUIRE(out.keys.size() == 2);
  for (const KeyOutcome& k : out.keys) {
    CHECK(k.tried.size() == 3);
    CHECK(k.entry.value.config == "{config = 1}");
  }
  CHECK(out.peaks.at("n") == 0);
}
TEST_CASE("a config with other bits is reported and never chosen, were it the default itself") {
  for (const int64_t wrong : {int64_t{0}, int64_t{1}}) {
    Bench b({{.id = "acme.a"}, {.id = "acme.w12", .layout = "w12/rows", .speeds = {3, 1, 2}, .wrong = wrong}});
    const TunerOutcome out = b.tune();
    CHECK(out.failures.size() == 2);
    for (const GateFailure& f : out.failures) {
      CHECK(f.kernel == "acme.w12");
      CHECK(f.config == text("{config = ", wrong, "}"));
      CHECK(f.reason.find("other bits than acme.a") != std::string::npos);
    }
    for (const KeyOutcome& k : out.keys)
      if (k.key.layout == "w12/rows") CHECK(k.entry.value.config == (wrong == 1 ? "{config = 2}" : "{config = 1}"));
  }
}
TEST_CASE("what is faster by less than the noise leaves the default") {
  Bench b({{.id = "acme.a", .speeds = {1000, 995, 1100}}});
  for (const KeyOutcome& k : b.tune().keys) CHECK(k.entry.value.config == "{config = 0}");
}
TEST_CASE("what won by luck is measured again and not chosen, what is faster is") {
  // Config 1 looks a fifth faster for its first launches, as one whose memory lay well by chance, and is slower then.
  int64_t spell = 1000;
  Bench b({{.id = "acme.a", .speeds = {1000, 1050, 1100}, .noise = [&](int64_t config, int64_t launch) {
              return config == 1 && launch < spell ? 0.8 : 1.0;
            }}});
  for (const KeyOutcome& k : b.tune().keys) CHECK(k.entry.value.config == "{config = 1}");  // luck that never ends
  // As many launches as the quick and the final round of one rows point take.
  for (spell = 5; spell < 40; spell += 5) {
    Bench c({{.id = "acme.a", .speeds = {1000, 1050, 1100}, .noise = [&](int64_t config, int64_t launch) {
                return config == 1 && launch < spell ? 0.8 : 1.0;
              }}});
    c.problems[0].points = {1};
    const KeyOutcome k = c.tune().keys.at(0);
    if (k.entry.value.config == "{config = 1}") continue;
    CHECK(k.entry.value.config == "{config = 0}");
    if (k.unconfirmed > 0) return;  // the final round had chosen it
  }
  FAIL("no spell of luck was as long as the final round");
}
TEST_CASE("under noise no choice is slower than the default, and what is clearly faster is still found") {
  uint64_t state = 12345;
  const auto jitter = [&](int64_t, int64_t) {  // 0.9 to 1.1, and one launch of eight takes half as long again
    state = state * 6364136223846793005u + 1442695040888963407u;
    const double u = static_cast<double>(state >> 40) / static_cast<double>(1 << 24);
    return 0.9 + 0.2 * u + ((state >> 20) % 8 == 0 ? 0.5 : 0.0);
  };
  int64_t found = 0, rounds = 40;
  for (int64_t round = 0; round < rounds; ++round) {
    // Every other config is slower by 2 to 4 %.
    Bench slower({{.id = "acme.a", .speeds = {1000, 1020, 1030, 1040, 1025, 1035}, .noise = jitter}});
    for (const KeyOutcome& k : slower.tune().keys) CHECK(k.entry.value.config == "{config = 0}");
    Bench faster({{.id = "acme.a", .speeds = {1000, 1020, 800, 1040}, .noise = jitter}});
    for (const KeyOutcome& k : faster.tune().keys) found += k.entry.value.config == "{config = 2}";
  }
  CHECK(found > rounds * 2 * 9 / 10);
}
TEST_CASE("what was chosen is measured again beside the default, and said to be slower where it is") {
  Bench b({{.id = "acme.a"}});
  const auto check = [](Bench& bench) {
    auto found =
        check_choices(bench.device, bench.info, bench.registry, bench.problems, *bench.database, bench.options);
    REQUIRE_MESSAGE(found.ok(), found.status().message());
    return std::move(*found);
  };
  CHECK(check(b).missing == 2);  // nothing was tuned yet
  const TunerOutcome tuned = b.tune();
  CheckedChoices found = check(b);
  CHECK(found.missing == 0);
  REQUIRE(found.choices.size() == 2);
  for (const CheckedChoice& c : found.choices) {
    CHECK(c.chosen == "acme.a {config = 1}");
    CHECK(c.now == doctest::Approx(0.25).epsilon(0.02));
    CHECK_FALSE(c.is_slower());
  }
  Bench slow({{.id = "acme.a", .speeds = {4, 1, 2, 8}}});
  for (const KeyOutcome& k : tuned.keys) {
    TuningEntry other = k.entry;
    other.value.config = "{config = 3}";
    REQUIRE(slow.database->put({&other, 1}).ok());
  }
  found = check(slow);
  CHECK(found.slower() == 2);
}
TEST_CASE("a budget ends the run, what was tried is kept, and the next run goes on") {
  Bench b({{.id = "acme.a", .speeds = std::vector<int64_t>(40, 9)}});
  b.options.budget = 0.004;
  const TunerOutcome cut = b.tune();
  CHECK(cut.out_of_time);
  CHECK(cut.count(KeyState::unfinished) > 0);
  b.options.budget = 0;
  const TunerOutcome rest = b.tune();
  CHECK(rest.count(KeyState::unfinished) == 0);
  const auto resumed = std::ranges::max(rest.keys, {}, &KeyOutcome::resumed).resumed;
  CHECK(resumed > 0);
}
TEST_CASE("orders of sums: the rule's is kept unless asked, and no retune changes it") {
  Bench b({{.id = "acme.slow", .numerics = "first", .speeds = {9, 8}}, {.id = "acme.fast", .numerics = "second"}});
  CHECK(b.tune().keys[0].key.numerics == "first");
  b.options.choose_numerics = true;
  CHECK(b.tune().keys[0].key.numerics == "first");  // kept
  REQUIRE(b.database->renumber("acme-npu-1").ok());
  const TunerOutcome anew = b.tune();
  CHECK(anew.keys[0].key.numerics == "second");
  CHECK(anew.numerics[0].measured.size() == 2);
}
TEST_CASE("a database that cannot be written is refused before anything is measured") {
  Bench b({{.id = "acme.a"}});
  const auto read_only = TuningDatabase::open_to_read(b.path());
  REQUIRE(read_only.ok());
  const auto out = tare::tune(b.device, b.info, b.registry, b.problems, **read_only, b.options);
  CHECK(out.status().message().find("is read-only") != std::string::npos);
  CHECK(b.timer.seconds == 0);
}
TEST_CASE("a changed kernel is measured again") {
  Bench b({{.id = "acme.a"}});
  TuningEntry old = b.tune().keys[0].entry;
  old.value.hash = "h0";
  REQUIRE(b.database->put({&old, 1}).ok());
  CHECK(b.tune().count(KeyState::tuned) == 1);
}
TEST_CASE("an invented SKU is qualified, compared with its record, and failed by a gate") {
  Bench b({{.id = "acme.a"}});
  QualifyOptions options{.tuner = b.options, .shipped = {}, .output = (b.folder / "db").string()};
  auto q = qualify(b.device, b.info, b.registry, b.problems, *b.database, options);
  REQUIRE_MESSAGE(q.ok(), q.status().message());
  CHECK(q->sentence == "qualified");
  CHECK(q->gates.size() == 1);
  CHECK(q->gates[0].checked > 10);
  REQUIRE(q->files.size() == 1);
  const auto file = read_tuning_file(q->files[0], "acme-npu-1");
  REQUIRE_MESSAGE(file.ok(), file.status().message());
  CHECK(file->architecture == "acme1");
  CHECK(file->entries.size() == 2);

  std::vector<TuningEntry> shipped = file->entries;
  for (TuningEntry& e : shipped) e.value.us /= 1.5;
  options.shipped = shipped;
  q = qualify(b.device, b.info, b.registry, b.problems, *b.database, options);
  CHECK(q->verdict == QualifyVerdict::slower);
  CHECK(q->sentence == "slower than the shipped record by 50 %");

  Bench wrong({{.id = "acme.a", .wrong = 2}});
  q = qualify(wrong.device, wrong.info, wrong.registry, wrong.problems, *wrong.database, {.tuner = wrong.options});
  CHECK(q->verdict == QualifyVerdict::failed);
  CHECK(q->sentence.starts_with("failed: acme.a"));
}
TEST_CASE("a tuner that is killed at any moment leaves a database in which every entry is whole") {
  Bench b({{.id = "acme.a", .speeds = {5, 4, 3, 2, 1}}});
  for (int round = 0; round < 8; ++round) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      auto mine = TuningDatabase::open(b.path());
      while (mine.ok()) {
        (void)tare::tune(b.device, b.info, b.registry, b.problems, *mine->database, b.options);
        const auto done = tare::tune(b.device, b.info, b.registry, b.problems, *mine->database, b.options);
        for (size_t i = 0; done.ok() && i < done->keys.size(); ++i)
          (void)mine->database->erase({&done->keys[i].key, 1});
      }
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(3000 + 7000 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    auto again = TuningDatabase::open(b.path());
    REQUIRE_MESSAGE(again.ok(), again.status().message());
    CHECK(again->note.empty());
    const auto entries = again->database->entries("acme-npu-1");
    REQUIRE(entries.ok());
    for (const TuningEntry& e : *entries) CHECK(e.value.config == "{config = 4}");
  }
  CHECK(b.tune().count(KeyState::unfinished) == 0);
}
TEST_CASE("clock and power are kept beside a choice, and close finalists of many rows also run sustained") {
  class Sensors final : public DeviceSensors {
   public:
    SensorReading read() override { return {.megahertz = 1755, .watts = 640}; }
  } sensors;
  Bench b({{.id = "acme.a", .speeds = {400, 300, 302}}});
  b.options.sensors = &sensors, b.options.sustained_from = 8, b.options.sustained_slice = 0.01;
  for (const KeyOutcome& k : b.tune().keys) {
    CHECK(k.entry.value.megahertz == 1755);
    CHECK(k.entry.value.watts == 640);
    CHECK(k.entry.value.vendor_us == 0);
    if (k.key.rows < 8)
      CHECK(k.entry.value.sustained_us == 0);
    else
      CHECK(k.entry.value.sustained_us == doctest::Approx(k.entry.value.us));
    const auto kept = b.database->entry(k.key);
    REQUIRE(kept.ok());
    CHECK(**kept == k.entry);
  }
}
TEST_CASE("made-up weights have the entropy of trained ones, escapes included") {
  std::vector<uint16_t> w(512 * 512);
  fill_trained_like(DType::bf16, 0, 512, 512, 1, w.data());
  std::vector<int64_t> counts(256);
  for (const uint16_t v : w) ++counts[v >> 7 & 255];
  double entropy = 0;
  int64_t far = 0;
  for (size_t e = 0; e < 256; ++e) {
    const double p = static_cast<double>(counts[e]) / static_cast<double>(w.size());
    if (p > 0) entropy -= p * std::log2(p);
    if (e < 107 || e > 123) far += counts[e];
  }
  CHECK(entropy > 2.55);
  CHECK(entropy < 2.75);
  CHECK(far > 10);
  CHECK(static_cast<double>(far) < 0.003 * static_cast<double>(w.size()));
}

}  // namespace
}  // namespace tare
