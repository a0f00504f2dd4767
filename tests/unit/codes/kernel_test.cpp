// Coded kernels give the bits of the dense ones: at every number of rows, for every config, fused or not.
#include "plugins/linear/coded_backend.hpp"
#include "tests/unit/codes/numbers.hpp"
#include "tests/unit/cpu/linear_case.hpp"

namespace tare::linear::test {
namespace {

enum class Content { trained, escapes, wild };

// A product (two for gated) of one x with weights that lie in any layout.
class CodedCase {
 public:
  CodedCase(CaseOptions options, Content content, int64_t rows) : case_(options, rows), o_(std::move(options)) {
    for (size_t i = 0; i < o_.outputs.size(); ++i) {
      Numbers n = trained_like(o_.outputs[i], o_.inputs, 3 + static_cast<uint32_t>(i));
      std::mt19937 random(9);
      if (content == Content::escapes)  // one in 100, some in a row
        for (size_t at = 0; at + 3 < n.size(); at += 200 + random() % 200)
          for (size_t j = 0; j < 3; ++j) n[at + j] = to_bf16(static_cast<float>(1e-9 * (1 + random() % 7))).bits;
      if (content == Content::wild)
        for (uint16_t& v : n)
          v = to_bf16(std::ldexp(1.0f + static_cast<float>(random() % 128) / 128, static_cast<int>(random() % 60) - 40))
                  .bits;
      numbers_.push_back(std::move(n));
      infos_.push_back(matrix(o_.outputs[i], o_.inputs));
    }
  }

  // Null layout: dense.
  std::vector<std::byte> run(Device& device, const KernelCandidate& candidate, const Layout* layout, int64_t rows,
                             const KernelConfig* config = nullptr) {
    const Problem p = case_.problem(device, rows);
    REQUIRE_MESSAGE(candidate.supports(p), candidate.supports(p).reason);
    auto instance = candidate.instance(device, p, config == nullptr ? candidate.fallback(p) : *config);
    REQUIRE_MESSAGE(instance.ok(), instance.status().message());
    const std::string id = candidate.layouts(p, 0, 0).front();
    REQUIRE(id == (layout == nullptr ? kCpuTiles : layout->id()));
    static const auto tiles = make_cpu_tiles_layout();
    std::vector<LaidOut> laid(numbers_.size());
    std::vector<WeightView> views;
    for (size_t i = 0; i < numbers_.size(); ++i) {
      if (layout != nullptr) {
        laid[i] = lay_out(*layout, infos_[i], numbers_[i], 64);
        codings_.push_back(laid[i].coding());
      } else {
        laid[i].bytes.resize(static_cast<size_t>(tiles->bytes(infos_[i])) + 64);
        laid[i].offset = (64 - reinterpret_cast<uintptr_t>(laid[i].bytes.data()) % 64) % 64;
        REQUIRE(
            tiles->encode(infos_[i], 0, infos_[i].outputs(), numbers_[i].data(), laid[i].bytes.data() + laid[i].offset)
                .ok());
      }
      views.push_back({laid[i].data(), 0, id, &infos_[i], layout});
      views.emplace_back();
    }
    std::vector<TensorView> inputs{packed_view(case_.x().data(), o_.x, {rows, o_.inputs})};
    std::vector<uint16_t> residual(static_cast<size_t>(rows * o_.outputs[0]), 0x3e80);
    if (o_.tail == Tail::add) inputs.push_back(packed_view(residual.data(), DType::bf16, {rows, o_.outputs[0]}));
    std::vector<std::byte> out;
    std::vector<TensorView> outputs;
    const size_t results = o_.tail == Tail::none ? o_.outputs.size() : 1;
    int64_t total = 0;
    for (size_t i = 0; i < results; ++i) total += rows * o_.outputs[i] * size_of(o_.out);
    out.resize(static_cast<size_t>(total));
    for (size_t i = 0, at = 0; i < results; ++i) {
      outputs.push_back(packed_view(out.data() + at, o_.out, {rows, o_.outputs[i]}));
      at += static_cast<size_t>(rows * o_.outputs[i] * size_of(o_.out));
    }
    std::vector<std::byte> scratch(static_cast<size_t>(candidate.scratch_bytes(p, {})), std::byte{0xff});
    auto stream = device.create_stream();
    const Status status = (*instance)->launch({device, **stream, {}, inputs, outputs, views, nullptr, scratch});
    REQUIRE_MESSAGE(status.ok(), status.message());
    return out;
  }
  Problem problem(const Device& device, int64_t rows) const { return case_.problem(device, rows); }
  const std::vector<Coding>& codings() const { return codings_; }

 private:
  Case case_;
  CaseOptions o_;
  std::vector<Numbers> numbers_;
  std::vector<WeightInfo> infos_;
  std::vector<Coding> codings_;
};

struct Pair {
  std::shared_ptr<const CpuBackend> dense;
  std::shared_ptr<const CpuBackend> (*coded)(std::string_view);
};
std::vector<Pair> pairs() {
  return {{make_amx_backend(), make_coded_amx_backend},
          {make_avx512_bf16_backend(), make_coded_avx512_bf16_backend},
          {make_highway_backend(), make_coded_highway_backend}};
}
const Layout& layout_of(std::string_view id) {
  static const auto w12 = make_w12_layout(), w11 = make_w11_layout();
  return id == kW12 ? *w12 : *w11;
}

template <class Use>
void for_each_pair(Device& device, Tail tail, const Use& use) {
  for (const Pair& pair : pairs())
    for (const std::string_view id : {kW12, kW11}) {
      if (pair.dense == nullptr) continue;
      const auto dense = make_candidate(pair.dense, tail), coded = make_candidate(pair.coded(id), tail);
      CodedCase probe({.outputs = std::vector<int64_t>(tail == Tail::gated ? 2 : 1, 64), .inputs = 64, .tail = tail},
                      Content::trained, 1);
      const Problem p = probe.problem(device, 1);
      if (const Verdict v = coded->supports(p); !v) {
        MESSAGE("skipped: ", coded->id(), ": ", v.reason);
        continue;
      }
      CHECK(coded->numerics(p) == dense->numerics(p));
      use(*dense, *coded, layout_of(id));
    }
}

TEST_CASE("coded products have the bits of the dense ones at every M") {
  auto device = open_cpu(2);
  for_each_pair(*device, Tail::none, [&](const auto& dense, const auto& coded, const Layout& layout) {
    for (const Content content : {Content::trained, Content::escapes, Content::wild})
      for (const auto& [n, k] : std::initializer_list<std::pair<int64_t, int64_t>>{{256, 1024}, {130, 1000}, {64, 33}})
        for (const int64_t rows : {1, 2, 8, 16, 17, 64, 100}) {
          CAPTURE(coded.id());
          CAPTURE(static_cast<int>(content));
          CAPTURE(n);
          CAPTURE(k);
          CAPTURE(rows);
          CodedCase c({.outputs = {n, 70}, .inputs = k, .out = DType::f32}, content, rows);
          CHECK(c.run(*device, coded, &layout, rows) == c.run(*device, dense, nullptr, rows));
          if (n == 256 && content != Content::wild)
            CHECK(c.codings().front() == (layout.id() == kW12 ? Coding::split : Coding::triples));
          if (n == 256 && content == Content::wild) CHECK(c.codings().front() == Coding::plain);
        }
  });
}

TEST_CASE("every config of the space gives the same bits") {
  auto device = open_cpu(3);
  for_each_pair(*device, Tail::none, [&](const auto& dense, const auto& coded, const Layout& layout) {
    for (const int64_t rows : {1, 5, 40, 100}) {
      CodedCase c({.outputs = {200}, .inputs = 1100, .out = DType::f32}, Content::escapes, rows);
      const auto want = c.run(*device, dense, nullptr, rows);
      const auto space = coded.space(c.problem(*device, rows));
      CHECK(space.size() >= 3);
      for (const KernelConfig& config : space) {
        CAPTURE(coded.id());
        CAPTURE(to_string(config));
        CHECK(coded.accepts(c.problem(*device, rows), config));
        CHECK(c.run(*device, coded, &layout, rows, &config) == want);
      }
    }
  });
}

TEST_CASE("fused chains of coded products have the bits of the dense chains") {
  auto device = open_cpu(2);
  for (const Tail tail : {Tail::add, Tail::gated})
    for_each_pair(*device, tail, [&](const auto& dense, const auto& coded, const Layout& layout) {
      for (const int64_t rows : {1, 16, 33}) {
        CAPTURE(coded.id());
        CAPTURE(rows);
        CodedCase c({.outputs = std::vector<int64_t>(tail == Tail::gated ? 2 : 1, 150), .inputs = 512, .tail = tail},
                    Content::escapes, rows);
        CHECK(c.run(*device, coded, &layout, rows) == c.run(*device, dense, nullptr, rows));
      }
    });
}

TEST_CASE("every no has its reason") {
  auto device = open_cpu(1);
  const auto w12 = make_candidate(make_coded_highway_backend(kW12), Tail::none);
  CHECK(w12->id() == "linear.cpu_w12_highway");
  Case wide({.outputs = {64}, .inputs = 64, .x = DType::f32, .weight = DType::f32, .out = DType::f32}, 1);
  CHECK(w12->supports(wide.problem(*device, 1)).reason == "weights are f32, expected bf16");
  if (const auto backend = make_coded_avx512_bf16_backend(kW11)) {
    Problem old = Case({.outputs = {64}, .inputs = 64}, 1).problem(*device, 1);
    old.features = {"avx2", "fma"};
    CHECK(make_candidate(backend, Tail::none)->supports(old).reason == "the CPU has no avx512vbmi");
  }
}

}  // namespace
}  // namespace tare::linear::test
