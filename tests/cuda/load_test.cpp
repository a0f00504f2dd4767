// A folder, a bundle and a serving bundle of it, loaded onto a (fake) GPU that the host lays out for, and onto a device
// that decodes tiles and packs by itself: the bytes that lie there are those that the layout alone makes of the
// numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "core/api/ledger.hpp"
#include "core/app/checkpoint_weights.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/bundle/serving_output.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "core/bundle/tare_pack.hpp"
#include "core/registry/registry.hpp"
#include "core/runtime/weights.hpp"
#include "plugins/device_cuda/provider.hpp"
#include "plugins/linear/cpu_layouts.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"
#include "tests/unit/bundle/models.hpp"
#include "tests/unit/runtime/staging_device.hpp"

using namespace tare;
using namespace tare::testing;

namespace {

const std::string kFake = std::string(TARE_BINARY_DIR) + "/tests/fake_cuda_driver.so";
using Bytes = std::vector<std::byte>;

// What the layout makes of all rows at once.
Bytes laid_out(const Layout& layout, const WeightInfo& info, const void* plain) {
  auto survey = *layout.survey(info);
  Bytes out;
  if (survey == nullptr) {
    out.resize(static_cast<size_t>(layout.bytes(info)));
    REQUIRE(layout.encode(info, 0, info.outputs(), plain, out.data()).ok());
    return out;
  }
  REQUIRE(survey->look(0, info.outputs(), plain).ok());
  const auto plan = *survey->finish();
  out.resize(static_cast<size_t>(plan->bytes()));
  REQUIRE(plan->encode(0, info.outputs(), plain, out.data()).ok());
  return out;
}

// A layout whose weights a device lays out itself. Its memory is the host's, so the host's code does it.
class PackedThere final : public Layout {
 public:
  explicit PackedThere(const Layout& of) : of_(of) {}
  std::string_view id() const noexcept override { return of_.id(); }
  Verdict supports(const WeightInfo& w) const noexcept override { return of_.supports(w); }
  int64_t bytes(const WeightInfo& w) const noexcept override { return of_.bytes(w); }
  Status encode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override {
    return failure(Code::internal, "the host lays it out");
  }
  Status decode(const WeightInfo& w, int64_t begin, int64_t end, const void* in, void* plain) const override {
    return of_.decode(w, begin, end, in, plain);
  }
  Result<std::unique_ptr<LayoutSurvey>> survey(const WeightInfo&) const override {
    return failure(Code::internal, "the host surveys it");
  }
  Result<std::unique_ptr<DeviceEncoder>> device_encoder(Device& device) const override {
    return std::unique_ptr<DeviceEncoder>(std::make_unique<Encoder>(of_, device));
  }
  uint32_t version() const noexcept override { return of_.version(); }
  Verdict check(const WeightInfo&, std::span<const std::byte>) const noexcept override {
    return Verdict::no("somebody holds all of it");
  }
  std::unique_ptr<PieceCheck> piece_check(const WeightInfo& w, int64_t bytes) const override {
    return of_.piece_check(w, bytes);
  }

 private:
  class Encoder final : public DeviceEncoder {
   public:
    Encoder(const Layout& of, Device& device) : of_(of), device_(device) {}
    Result<Encoded> encode(Stream&, const WeightInfo& w, const void* plain, std::string_view label) override {
      const Bytes bytes = laid_out(of_, w, plain);
      Encoded out;
      TARE_ASSIGN_OR_RETURN(out.buffer, device_.allocate(bytes.size(), Purpose::weights, label));
      std::memcpy(out.buffer->data(), bytes.data(), bytes.size());
      return out;
    }

   private:
    const Layout& of_;
    Device& device_;
  };
  const Layout& of_;
};

struct Models {
  Folder folder, work;
  std::vector<std::unique_ptr<Layout>> owned;
  std::vector<const Layout*> all, there;  // laid out by the host, by the device
  Program program;
  Settlement settlement;
  std::vector<Bytes> expected;
  std::string bundle = work.path + "/m.tare", serving = work.path + "/m-served.tare";

  Models() {
    owned.push_back(linear::make_rows_layout());
    owned.push_back(linear_cuda::make_dense_strips()), owned.push_back(linear_cuda::make_w12_strips());
    owned.push_back(linear_cuda::make_w11_strips());
    for (const auto& l : owned) all.push_back(l.get());
    there.push_back(all[0]);
    for (size_t i = 1; i < 4; ++i)
      owned.push_back(std::make_unique<PackedThere>(*all[i])), there.push_back(owned.back().get());

    // Ragged ones lie in rows; those that lie in records, in each code; F16 and F32 are converted; the largest comes in
    // the middle, in several chunks of a serving bundle.
    Numbers numbers;
    std::vector<MadeTensor> made;
    const auto add = [&](const std::string& name, int64_t rows, int64_t columns, size_t layout,
                         std::string dtype = "BF16") {
      std::string bytes = trained_bf16(rows, columns, numbers);
      if (dtype != "BF16") {
        bytes.clear();
        for (int64_t i = 0; i < rows * columns; ++i)
          bytes += dtype == "F32" ? bytes_of(static_cast<float>(numbers.normal()))
                                  : bytes_of(static_cast<uint16_t>(0x2c00 + (numbers.next() >> 40 & 0xfff)));
      }
      if (name == "c.outliers")
        for (size_t i = 1; i < bytes.size(); i += 4000) bytes[i] = static_cast<char>(numbers.next() & 0x7e);
      made.push_back({name, dtype, {rows, columns}, std::move(bytes)});
      const Shape shape = {rows, columns};
      program.weights.push_back(
          {.name = name, .shape = shape, .whole = shape, .part = {}, .input_dims = 1, .dtype = {}, .where = {}});
      settlement.layouts.emplace_back(all[layout]->id());
    };
    add("a.ragged", 300, 520, 0), add("b.records", 640, 512, 1), add("c.outliers", 208, 640, 2);
    add("d.short", 320, 1024, 3), add("e.f32", 128, 192, 2, "F32"), add("f.f16", 90, 33, 0, "F16");
    add("g.large", 3072, 2048, 2), add("h.norm", 1, 2048, 0), add("i.large.rows", 2100, 2048, 0);
    add("j.short.large", 2048, 2048, 3), add("k.last", 16, 64, 1);
    folder.write("config.json", R"({"architectures": ["X"]})");
    folder.write("model.safetensors", shard_of(made));
    REQUIRE(pack_tare(folder.path, bundle, {}, {}).ok());
    const auto checkpoint = open_checkpoint(folder.path, {});
    REQUIRE(checkpoint.ok());
    const CheckpointWeights source(*checkpoint->weights);
    auto output = ServingOutput::create(serving);
    REQUIRE(output.ok());
    const auto files = open_small_files(folder.path, {}, {});
    REQUIRE(files.ok());
    for (const auto& file : files->files) REQUIRE((*output)->add_file(file).ok());
    for (size_t w = 0; w < program.weights.size(); ++w) {
      const WeightInfo info = weight_info(program, static_cast<int32_t>(w));
      const Layout& layout = *layout_of(w);
      REQUIRE_MESSAGE(layout.supports(info), info.name);
      Bytes plain(static_cast<size_t>(info.outputs() * info.inputs() * 2));
      REQUIRE(source.read(program.weights[w], info, 0, info.outputs(), plain.data()).ok());
      expected.push_back(laid_out(layout, info, plain.data()));
      TareTensor t;
      t.name = info.name, t.dtype = "BF16", t.file = TareTensor::kNoFile, t.bytes = static_cast<int64_t>(plain.size());
      for (const Dim& d : info.shape) t.shape.push_back(d.size);
      t.codec = TareTensor::Codec::layout;
      t.laid.layout = layout.id(), t.laid.version = layout.version(), t.laid.input_dims = 1;
      const auto room = (*output)->begin_weight(static_cast<int64_t>(expected.back().size()));
      REQUIRE(room.ok());
      std::memcpy(room->data(), expected.back().data(), expected.back().size());
      REQUIRE((*output)->end_weight(std::move(t), 1).ok());
    }
    REQUIRE((*output)->finish({}).ok());
  }
  const Layout* layout_of(size_t w) const {
    return *std::find_if(all.begin(), all.end(), [&](const Layout* l) { return l->id() == settlement.layouts[w]; });
  }

  // The weights' bytes on the device, and the numbers that loading told of.
  Result<std::vector<Bytes>> loaded(const std::string& path, Device& device, bool packs, int64_t* told = nullptr) {
    TARE_ASSIGN_OR_RETURN(const auto checkpoint, open_checkpoint(path, {}));
    const CheckpointWeights source(*checkpoint.weights);
    const Registry registry({}, packs ? there : all);
    TARE_ASSIGN_OR_RETURN(const auto weights,
                          ResidentWeights::load(program, settlement, registry, device, source, "m/weights",
                                                [&](int64_t bytes) { *(told != nullptr ? told : &bytes) += bytes; }));
    TARE_ASSIGN_OR_RETURN(const auto stream, device.create_stream());
    std::vector<Bytes> out;
    for (int32_t w = 0; w < std::ssize(program.weights); ++w) {
      const WeightView& view = weights->view(w);
      out.emplace_back(static_cast<size_t>(view.bytes));
      TARE_RETURN_IF_ERROR(device.copy_out(*stream, out.back().data(), view.data, out.back().size()));
      TARE_RETURN_IF_ERROR(stream->synchronize());
      const size_t head = std::min(out.back().size(), static_cast<size_t>(kWeightHeadBytes));
      CHECK(std::memcmp(view.head, out.back().data(), head) == 0);
    }
    return out;
  }
  int64_t plain() const {
    int64_t bytes = 0;
    for (const WeightDecl& w : program.weights) bytes += w.whole[0].size * w.whole[1].size * 2;
    return bytes;
  }
};

std::unique_ptr<Device> fake_gpu() {
  auto device = cuda::make_provider(kFake)->open("cuda:0", {.threads = 2, .memory_bytes = int64_t{1} << 30});
  REQUIRE_MESSAGE(device.ok(), device.status().message());
  return std::move(*device);
}

}  // namespace

TEST_CASE("folder, bundle and serving bundle become the same bytes on a device, whoever decodes and lays out") {
  Models m;
  for (const std::string& path : {m.folder.path, m.bundle, m.serving}) {
    CAPTURE(path);
    for (const std::string how : {"fake GPU", "decodes and packs", "packs", "little memory"}) {
      CAPTURE(how);
      int64_t told = 0;
      Result<std::vector<Bytes>> there = std::vector<Bytes>();
      if (how == "fake GPU") {
        there = m.loaded(path, *fake_gpu(), false, &told);
      } else {
        StagingDevice device;
        device.decodes = how != "packs";
        // Room for the weights and a ring, none to decode beside it.
        if (how == "little memory") device.budget = m.plain() + m.plain() * 5 / 4;
        there = m.loaded(path, device, true, &told);
        CHECK(device.in_use == 0);
      }
      REQUIRE_MESSAGE(there.ok(), there.status().message());
      for (size_t w = 0; w < m.expected.size(); ++w) {
        CAPTURE(m.program.weights[w].name);
        CHECK((*there)[w] == m.expected[w]);
      }
      CHECK(told == m.plain());
    }
  }
}

TEST_CASE("damage anywhere in a serving bundle is found before anything is loaded from it") {
  Models m;
  const auto bundle = *TareBundle::open(m.serving);
  std::ifstream in(m.serving, std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  const std::string path = m.work.path + "/damaged.tare";
  for (const TareTensor& t : bundle->directory().tensors) {
    if (t.codec != TareTensor::Codec::layout) continue;
    const int64_t last = (t.stored.bytes - 1) >> 20;
    for (const int64_t piece : {int64_t{0}, last / 2, last}) {
      CAPTURE(t.name);
      std::string bytes = good;
      const auto at = static_cast<size_t>(t.stored.offset + std::min(t.stored.bytes - 1, (piece << 20) + 77));
      bytes[at] = static_cast<char>(bytes[at] ^ 4);
      m.work.write("damaged.tare", bytes);
      const auto device = fake_gpu();
      const auto there = m.loaded(path, *device, false);
      REQUIRE_FALSE(there.ok());
      CHECK(there.status().message() ==
            text(path, ": tensor '", t.name, "' is damaged: piece ", piece, " does not match its checksum"));
      CHECK(static_cast<Ledger*>(device->query(Ledger::kInterface))->in_use() == 0);
    }
  }
}
