// Weights that a file holds as a device has them, on their way into the CPU's memory and a (fake) GPU's: copied where
// the layout is the one wanted, else from any layout into any other, bit for bit; never past the layout's check.
#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <random>

#include "core/registry/registry.hpp"
#include "core/runtime/weights.hpp"
#include "plugins/device_cpu/cpu_device.hpp"
#include "plugins/device_cuda/provider.hpp"
#include "plugins/linear/coded_layout.hpp"
#include "plugins/linear/cpu_layouts.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

using namespace tare;

namespace {

const std::string kFake = std::string(TARE_BINARY_DIR) + "/tests/fake_cuda_driver.so";

struct Layouts {
  std::vector<std::unique_ptr<Layout>> owned;
  std::vector<const Layout*> all;
  Registry registry;
  Layouts() {
    owned.push_back(linear::make_rows_layout()), owned.push_back(linear::make_cpu_tiles_layout());
    owned.push_back(linear::make_w12_layout()), owned.push_back(linear::make_w11_layout());
    owned.push_back(linear_cuda::make_dense_strips()), owned.push_back(linear_cuda::make_w12_strips());
    owned.push_back(linear_cuda::make_w11_strips());
    for (const auto& l : owned) all.push_back(l.get());
    registry = Registry({}, all);
  }
};

// Weights in memory, some of them laid out.
class MemoryWeights final : public PlainWeights {
 public:
  std::vector<std::vector<uint16_t>> plain;
  std::map<std::string, size_t> index;
  std::map<std::string, LaidOutWeight> stored;

  Status check(const WeightDecl&) const override { return {}; }
  Status read(const WeightDecl& decl, const WeightInfo& info, int64_t begin, int64_t end, void* out) const override {
    if (stored.contains(decl.name)) return failure(Code::unsupported, decl.name, " is laid out");
    std::memcpy(out, plain[index.at(decl.name)].data() + begin * info.inputs(),
                static_cast<size_t>((end - begin) * info.inputs() * 2));
    return {};
  }
  Result<std::optional<LaidOutWeight>> laid_out(const WeightDecl& decl, const WeightInfo&) const override {
    const auto at = stored.find(decl.name);
    return at == stored.end() ? std::nullopt : std::optional(at->second);
  }
  void store(const std::string& name, const Layout& layout, std::vector<std::byte> bytes, std::string note = "") {
    const auto shared = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    LaidOutWeight w;
    w.layout = layout.id(), w.version = layout.version(), w.input_dims = 1;
    w.note = std::move(note), w.bytes = static_cast<int64_t>(shared->size());
    w.read = [shared](int64_t begin, std::span<std::byte> out) {
      std::memcpy(out.data(), shared->data() + begin, out.size());
      return Status();
    };
    stored[name] = std::move(w);
  }
};

struct Model {
  Program program;
  MemoryWeights source;
  Settlement settlement;
  explicit Model(const std::string& layout) {
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 0.02f);
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{128, 256}, {320, 192}, {16, 4096}}) {
      const std::string name = "w" + std::to_string(rows);
      WeightDecl decl;
      decl.name = name, decl.shape = decl.whole = {rows, columns}, decl.input_dims = 1;
      source.index[name] = program.weights.size();
      program.weights.push_back(std::move(decl));
      std::vector<uint16_t> plain(static_cast<size_t>(rows * columns));
      for (uint16_t& v : plain) v = to_bf16(normal(random) * (random() % 500 == 0 ? 1e-6f : 1)).bits;
      source.plain.push_back(std::move(plain));
    }
    settlement.layouts.assign(program.weights.size(), layout);
  }
};

std::unique_ptr<Device> open(bool gpu) {
  const auto provider = gpu ? cuda::make_provider(kFake) : cpu::make_cpu_provider();
  auto device = provider->open(gpu ? "cuda:0" : "cpu", {.threads = 2, .memory_bytes = int64_t{1} << 30});
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  return std::move(*device);
}

using Bytes = std::vector<std::vector<std::byte>>;
// What lies in the device's memory, by weight.
Result<Bytes> loaded(const Model& model, const Layouts& layouts, bool gpu, int32_t* copied = nullptr,
                     int32_t* reordered = nullptr, int64_t* advanced = nullptr) {
  const auto device = open(gpu);
  const Advance advance = [&](int64_t bytes) {
    if (advanced != nullptr) *advanced += bytes;
  };
  TARE_ASSIGN_OR_RETURN(const auto weights, ResidentWeights::load(model.program, model.settlement, layouts.registry,
                                                                  *device, model.source, "test/weights", advance));
  if (copied != nullptr) *copied = weights->num_copied();
  if (reordered != nullptr) *reordered = weights->num_reordered();
  auto stream = device->create_stream();
  REQUIRE(stream.ok());
  Bytes out;
  for (size_t w = 0; w < model.program.weights.size(); ++w) {
    const WeightView& view = weights->view(static_cast<int32_t>(w));
    out.emplace_back(static_cast<size_t>(view.bytes));
    REQUIRE(device->copy_out(**stream, out.back().data(), view.data, out.back().size()).ok());
    REQUIRE((*stream)->synchronize().ok());
  }
  return out;
}
bool is_for(const Layout& layout, bool gpu) {
  return layout.device_kind().empty() || layout.device_kind() == (gpu ? "cuda" : "cpu");
}

TEST_CASE("from any layout of any device into any of a device: the bytes that plain numbers become") {
  const Layouts layouts;
  std::map<std::string_view, Bytes> direct;
  for (const Layout* layout : layouts.all) {
    auto bytes = loaded(Model(std::string(layout->id())), layouts, layout->device_kind() == "cuda");
    REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
    direct[layout->id()] = std::move(*bytes);
  }
  int pairs = 0;
  for (const bool gpu : {false, true})
    for (const Layout* from : layouts.all)
      for (const Layout* to : layouts.all) {
        if (!is_for(*to, gpu)) continue;
        CAPTURE(from->id());
        CAPTURE(to->id());
        Model model{std::string(to->id())};
        int64_t plain = 0;
        for (size_t w = 0; w < model.program.weights.size(); ++w) {
          plain += static_cast<int64_t>(model.source.plain[w].size() * 2);
          model.source.store(model.program.weights[w].name, *from, direct[from->id()][w]);
        }
        int32_t copied = 0, reordered = 0;
        int64_t advanced = 0;
        const auto bytes = loaded(model, layouts, gpu, &copied, &reordered, &advanced);
        REQUIRE_MESSAGE(bytes.ok(), bytes.status().message());
        CHECK(*bytes == direct[to->id()]);
        CHECK(copied == (from == to ? 3 : 0));
        CHECK(reordered == (from == to ? 0 : 3));
        CHECK(advanced == plain);
        ++pairs;
      }
  CHECK(pairs == 7 * 4 + 7 * 4);
}

TEST_CASE("notes and fall-backs are the file's; another version, an unknown layout and bad bytes are refused") {
  const Layouts layouts;
  const Layout& w12 = *layouts.all[2];
  REQUIRE(w12.id() == linear::kW12);
  const auto good = loaded(Model("w12/cpu-tiles"), layouts, false);
  REQUIRE(good.ok());
  const auto load = [&](bool gpu, const std::string& wanted, const auto& change) {
    Model model(wanted);
    auto bytes = (*good)[1];
    model.source.store("w320", w12, bytes, "w12, as the file says");
    change(model.source.stored["w320"], bytes);
    const auto done = loaded(model, layouts, gpu);
    return done.ok() ? std::string("ok") : done.status().message();
  };
  const auto nothing = [](LaidOutWeight&, std::vector<std::byte>&) {};
  const auto version = [](LaidOutWeight& w, std::vector<std::byte>&) { w.version = 2; };
  const auto unknown = [](LaidOutWeight& w, std::vector<std::byte>&) { w.layout = "w13/abacus"; };
  const auto longer = [](LaidOutWeight& w, std::vector<std::byte>&) { w.bytes = int64_t{1} << 60; };
  const auto bad = [](LaidOutWeight& w, std::vector<std::byte>& bytes) {
    bytes.back() = std::byte{1};
    w.read = [bytes](int64_t begin, std::span<std::byte> out) {
      std::memcpy(out.data(), bytes.data() + begin, out.size());
      return Status();
    };
  };
  const auto broken = [](LaidOutWeight& w, std::vector<std::byte>&) {
    w.read = [](int64_t, std::span<std::byte>) -> Status { return {Code::corrupt, "the disk is gone"}; };
  };
  for (const auto& [gpu, wanted] : std::initializer_list<std::pair<bool, std::string>>{
           {false, "w12/cpu-tiles"}, {false, "dense/cpu-tiles"}, {false, "w11/cpu-tiles"}, {true, "w12/cuda-strips"}}) {
    CAPTURE(wanted);
    CHECK(load(gpu, wanted, nothing) == "ok");
    CHECK(load(gpu, wanted, version) ==
          "tensor 'w320' lies as w12/cpu-tiles of version 2, the plugin here has version 1");
    CHECK(load(gpu, wanted, unknown) == "tensor 'w320' lies as w13/abacus, a layout that no plugin brings");
    CHECK(load(gpu, wanted, longer).find("tensor 'w320' lies as w12/cpu-tiles in 1152921504606846976 bytes") == 0);
    CHECK(load(gpu, wanted, bad) == "tensor 'w320' cannot be taken as w12/cpu-tiles: it does not end with zeros");
    CHECK(load(gpu, wanted, broken) == "the disk is gone");
  }
  Model model("w12/cpu-tiles");
  model.source.store("w128", w12, (*good)[0], "what the file says");
  model.source.stored["w128"].fell_back = true;
  const auto device = open(false);
  const auto weights =
      ResidentWeights::load(model.program, model.settlement, layouts.registry, *device, model.source, "test", {});
  REQUIRE(weights.ok());
  CHECK((*weights)->note(0) == "what the file says");
  REQUIRE((*weights)->fell_back().size() == 1);
  CHECK((*weights)->fell_back()[0] == 0);
}

}  // namespace
