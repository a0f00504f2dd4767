// Weights of a bundle on their way to a device that lays them out itself: as coded tiles where it decodes, as rows
// where not; every bit, and what is said of damage.
#include <doctest/doctest.h>

#include "core/app/checkpoint_weights.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "core/bundle/tare_pack.hpp"
#include "core/runtime/staged_inputs.hpp"
#include "tests/unit/runtime/made_tensors.hpp"
#include "tests/unit/runtime/staging_device.hpp"

using namespace tare;
using namespace tare::testing;

namespace {

DType dtype_of(const MadeTensor& t) {
  return t.dtype == "BF16" ? DType::bf16 : t.dtype == "F16" ? DType::f16 : DType::f32;
}

struct Packed {
  Folder model, work;
  std::vector<MadeTensor> made = tensors_for_tiles();
  std::string path = work.path + "/m.tare";
  std::vector<WeightDecl> decls;
  std::vector<WeightInfo> infos;
  Packed() {
    model.write("config.json", R"({"architectures": ["X"]})");
    model.write("model.safetensors", shard_of(made));
    REQUIRE(pack_tare(model.path, path, {}, {}).ok());
    for (const auto& t : made) {
      Shape shape;
      for (const int64_t size : t.shape) shape.push_back(size);
      decls.push_back(
          {.name = t.name, .shape = shape, .whole = shape, .part = {}, .input_dims = 1, .dtype = {}, .where = {}});
      infos.push_back({t.name, dtype_of(t), shape, 1});
    }
  }
  // Sends all of `checkpoint`'s weights to the device; how many differ there, or what went wrong.
  Result<int64_t> send(Device& device, const std::string& from, int64_t* decoded = nullptr,
                       int64_t part_bytes = StagedInputs::kPartBytes) {
    TARE_ASSIGN_OR_RETURN(const auto checkpoint, open_checkpoint(from, {}));
    const CheckpointWeights source(*checkpoint.weights);
    std::vector<StagedInputs::Weight> weights;
    for (size_t i = 0; i < decls.size(); ++i) weights.push_back({&decls[i], &infos[i]});
    TARE_ASSIGN_OR_RETURN(const auto inputs,
                          StagedInputs::create(device, weights, source, "m/weights", {}, part_bytes));
    int64_t wrong = 0;
    for (const auto& t : made) {
      TARE_ASSIGN_OR_RETURN(const auto arrived, inputs->next());
      wrong += std::memcmp(arrived.rows, t.bytes.data(), t.bytes.size()) != 0;
      inputs->done();
    }
    if (decoded != nullptr) *decoded = inputs->decoded_bytes();
    return wrong;
  }
  int64_t plain() const {
    int64_t bytes = 0;
    for (const auto& t : made) bytes += static_cast<int64_t>(t.bytes.size());
    return bytes;
  }
};

}  // namespace

TEST_CASE("a device that decodes is sent the coded bytes, and has the numbers bit for bit, in parts or at once") {
  Packed m;
  for (const int64_t part_bytes : {StagedInputs::kPartBytes, int64_t{200000}, int64_t{1}}) {
    CAPTURE(part_bytes);
    StagingDevice device;
    int64_t decoded = 0;
    const auto wrong = m.send(device, m.path, &decoded, part_bytes);
    REQUIRE_MESSAGE(wrong.ok(), wrong.status().message());
    CHECK(*wrong == 0);
    const auto bundle = *TareBundle::open(m.path);
    int64_t stored = 0, coded = 0;
    for (const TareTensor& t : bundle->directory().tensors) {
      stored += t.stored.bytes;
      if (t.codec == TareTensor::Codec::exp_ans) coded += t.bytes;
    }
    CHECK(device.sent == stored);
    CHECK(stored < m.plain() * 8 / 10);
    CHECK(decoded == coded);
    CHECK(device.in_use == 0);
  }
}

TEST_CASE("without a decoder, or without room to decode in, the host decodes") {
  Packed m;
  StagingDevice without;
  without.decodes = false;
  int64_t decoded = -1;
  auto wrong = m.send(without, m.path, &decoded);
  REQUIRE_MESSAGE(wrong.ok(), wrong.status().message());
  CHECK(*wrong == 0);
  CHECK(decoded == 0);
  CHECK(without.sent == m.plain());
  // A ring for all, but nothing beside it.
  StagingDevice full;
  full.budget = m.plain() * 5 / 4;
  wrong = m.send(full, m.path, &decoded);
  REQUIRE_MESSAGE(wrong.ok(), wrong.status().message());
  CHECK(*wrong == 0);
  CHECK(decoded == 0);
}

TEST_CASE("a folder's weights travel as they are") {
  Packed m;
  StagingDevice device;
  int64_t decoded = -1;
  const auto wrong = m.send(device, m.model.path, &decoded);
  REQUIRE_MESSAGE(wrong.ok(), wrong.status().message());
  CHECK(*wrong == 0);
  CHECK(decoded == 0);
  CHECK(device.sent == m.plain());
}

TEST_CASE("weights of another type than the stored one are converted by the host") {
  Packed m;
  for (WeightInfo& info : m.infos) info.dtype = DType::bf16;
  const auto checkpoint = open_checkpoint(m.path, {});
  REQUIRE(checkpoint.ok());
  const CheckpointWeights source(*checkpoint->weights);
  CHECK(source.coded(m.decls[4], m.infos[4]) == nullptr);
  CHECK(source.coded(m.decls[0], m.infos[0]) != nullptr);
  CHECK(source.coded(m.decls[3], m.infos[3]) == nullptr);  // raw
  WeightDecl part = m.decls[0];
  part.part.of = 600;
  CHECK(source.coded(part, m.infos[0]) == nullptr);
}

TEST_CASE("damage ends the loading with the tensor and the tile") {
  Packed m;
  const auto bundle = *TareBundle::open(m.path);
  const TareTensor* large = nullptr;
  for (const TareTensor& t : bundle->directory().tensors)
    if (t.name == "h.large") large = &t;
  REQUIRE(large != nullptr);
  std::ifstream in(m.path, std::ios::binary);
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  const auto refusal = [&](int64_t at) {
    std::string bytes = good;
    bytes[static_cast<size_t>(at)] = static_cast<char>(bytes[static_cast<size_t>(at)] ^ 8);
    m.work.write("damaged.tare", bytes);
    StagingDevice device;
    const auto wrong = m.send(device, m.work.path + "/damaged.tare");
    REQUIRE_FALSE(wrong.ok());
    CHECK(wrong.status().code() == Code::corrupt);
    CHECK(device.in_use == 0);
    return wrong.status().message();
  };
  const std::string what = m.work.path + "/damaged.tare: tensor 'h.large' is damaged: ";
  CHECK(refusal(large->stored.offset + 5) == what + "piece 0 does not match its checksum");
  CHECK(refusal(large->stored.offset + large->stored.bytes - 1).starts_with(what + "piece "));
  CHECK(refusal(large->stored.table_offset() + 8) == what + "its table of pieces does not match its checksum");
  // Bytes that arrive changed: checksums are right, the device's decoder finds it. Which tensor is sent
  // first is left to the threads.
  StagingDevice device;
  device.flip_at = bundle->pieces(bundle->directory().tensors[0].stored, 1, 2, "")->front().begin - 40;
  const auto wrong = m.send(device, m.path);
  REQUIRE_FALSE(wrong.ok());
  CHECK(wrong.status().message().starts_with(m.path + ": tensor '"));
  CHECK(wrong.status().message().ends_with("': tile 0 is damaged: its planes do not end where they must"));
}

namespace {

// A layout of which loading asks no more than its name and whether it takes bytes.
class Named final : public Layout {
 public:
  explicit Named(std::string_view id) : id_(id) {}
  std::string_view id() const noexcept override { return id_; }
  Verdict supports(const WeightInfo&) const noexcept override { return Verdict::yes(); }
  int64_t bytes(const WeightInfo& w) const noexcept override { return w.outputs() * w.inputs() * size_of(w.dtype); }
  Status encode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override { return {}; }
  Status decode(const WeightInfo&, int64_t, int64_t, const void*, void*) const override { return {}; }
  Verdict check(const WeightInfo&, std::span<const std::byte> in) const noexcept override {
    return in.front() == std::byte{7} ? Verdict::yes() : Verdict::no("it does not begin with a 7");
  }
  std::unique_ptr<PieceCheck> piece_check(const WeightInfo& weight, int64_t bytes) const override {
    class Look final : public PieceCheck {
     public:
      Look(const Layout& layout, const WeightInfo& weight, int64_t bytes)
          : layout_(layout), weight_(weight), left_(bytes) {}
      Verdict look(int64_t begin, std::span<const std::byte> piece) noexcept override {
        left_ -= static_cast<int64_t>(piece.size());
        if (left_ < 0) return Verdict::no("more than all of it came");
        return begin == 0 ? layout_.check(weight_, piece) : Verdict::yes();
      }

     private:
      const Layout& layout_;
      const WeightInfo& weight_;
      std::atomic<int64_t> left_;
    };
    return std::make_unique<Look>(*this, weight, bytes);
  }

 private:
  const std::string_view id_;
};

}  // namespace

TEST_CASE("weights that stay as plain rows arrive in buffers of their own, of exactly their bytes") {
  Packed m;
  const Named rows("dense/rows");
  for (const std::string& from : {m.model.path, m.path})
    for (const bool decodes : {true, false}) {
      CAPTURE(from);
      StagingDevice device;
      device.decodes = decodes;
      const auto checkpoint = open_checkpoint(from, {});
      REQUIRE(checkpoint.ok());
      const CheckpointWeights source(*checkpoint->weights);
      std::vector<StagedInputs::Weight> weights;
      for (size_t i = 0; i < m.decls.size(); ++i) {
        weights.push_back({&m.decls[i], &m.infos[i]});
        if (i % 2 == 0) weights.back().resident = &rows;
      }
      auto inputs = StagedInputs::create(device, std::move(weights), source, "m/weights", {});
      REQUIRE_MESSAGE(inputs.ok(), inputs.status().message());
      std::vector<std::unique_ptr<Buffer>> kept;
      for (size_t i = 0; i < m.made.size(); ++i) {
        auto arrived = (*inputs)->next();
        REQUIRE_MESSAGE(arrived.ok(), arrived.status().message());
        CHECK((arrived->buffer != nullptr) == (i % 2 == 0));
        if (arrived->rows != nullptr)
          CHECK(std::memcmp(arrived->rows, m.made[i].bytes.data(), m.made[i].bytes.size()) == 0);
        (*inputs)->done();
        kept.push_back(std::move(arrived->buffer));
      }
      inputs->reset();
      for (size_t i = 0; i < m.made.size(); i += 2) {
        REQUIRE(kept[i]->bytes() == m.made[i].bytes.size());
        CHECK(std::memcmp(kept[i]->data(), m.made[i].bytes.data(), m.made[i].bytes.size()) == 0);
      }
      kept.clear();
      CHECK(device.in_use == 0);
    }
}

TEST_CASE("weights that a file holds as the device has them are copied, and looked at first") {
  Packed m;
  const auto checkpoint = open_checkpoint(m.model.path, {});
  REQUIRE(checkpoint.ok());
  const CheckpointWeights source(*checkpoint->weights);
  const Named coded("some/order"), rows("dense/rows");
  const WeightInfo info{"w", DType::bf16, {4096, 513}, 1};  // of several chunks
  std::string bytes(4096 * 513 * 2, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  const auto load = [&](const Layout& layout, char first) {
    bytes[0] = first;
    StagingDevice device;
    LaidOutWeight stored;
    stored.layout = layout.id(), stored.bytes = std::ssize(bytes);
    stored.read = [&](int64_t at, std::span<std::byte> out) {
      std::memcpy(out.data(), bytes.data() + at, out.size());
      return Status();
    };
    auto inputs = StagedInputs::create(device, {{&m.decls[0], &info, &layout, stored}}, source, "m/weights", {});
    REQUIRE(inputs.ok());
    Status status;
    {
      auto arrived = (*inputs)->next();
      status = arrived.ok() ? Status() : arrived.status();
      if (arrived.ok()) {
        REQUIRE(arrived->buffer->bytes() == bytes.size());
        CHECK(std::memcmp(arrived->buffer->data(), bytes.data(), bytes.size()) == 0);
        CHECK(device.sent == std::ssize(bytes));
        (*inputs)->done();
      }
    }
    inputs->reset();
    CHECK(device.in_use == 0);
    return status.message();
  };
  CHECK(load(coded, 7).empty());
  CHECK(load(coded, 8) == "tensor 'w' cannot be taken as some/order: it does not begin with a 7");
  CHECK(load(rows, 8).empty());  // numbers, whatever they are
}

TEST_CASE("a device without room for a weight says so, and keeps nothing") {
  Packed m;
  const auto checkpoint = open_checkpoint(m.model.path, {});
  REQUIRE(checkpoint.ok());
  const CheckpointWeights source(*checkpoint->weights);
  const Named rows("dense/rows");
  StagingDevice device;
  device.budget = 1000;
  std::vector<StagedInputs::Weight> weights;
  for (size_t i = 0; i < m.decls.size(); ++i) weights.push_back({&m.decls[i], &m.infos[i], &rows});
  auto inputs = StagedInputs::create(device, std::move(weights), source, "m/weights", {});
  REQUIRE(inputs.ok());
  Status status;
  std::vector<std::unique_ptr<Buffer>> kept;
  for (size_t i = 0; i < m.made.size() && status.ok(); ++i) {
    auto arrived = (*inputs)->next();
    if (!arrived.ok()) status = arrived.status();
    if (!arrived.ok()) break;
    (*inputs)->done();
    kept.push_back(std::move(arrived->buffer));
  }
  CHECK(status.code() == Code::exhausted);
  CHECK(status.message().starts_with("m/weights: no room for "));
  inputs->reset();
  kept.clear();
  CHECK(device.in_use == 0);
}

TEST_CASE("a tensor's tiles in parts: all of them, in order, where their numbers lie") {
  for (const auto& [experts, rows, columns, most] :
       std::initializer_list<std::array<int64_t, 4>>{{1, 1000, 600, 1 << 20},
                                                     {1, 1000, 600, 100000},
                                                     {1, 1000, 600, 1},
                                                     {7, 130, 96, 60000},
                                                     {7, 130, 96, 9000}}) {
    CAPTURE(most);
    CodedMatrix whole;
    whole.experts = experts, whole.rows = rows, whole.columns = columns, whole.tile_rows = 64, whole.tile_columns = 128;
    int64_t tile = 0, plain = 0;
    for (const TilePart& part : tile_parts(whole, most)) {
      CHECK(part.matrix.first_tile == tile);
      CHECK(part.plain_at == plain);
      tile = part.end_tile(), plain += part.matrix.plain_bytes();
      const bool one_row_of_tiles = part.matrix.experts == 1 && part.matrix.rows <= 64;
      CHECK((part.matrix.plain_bytes() <= most || one_row_of_tiles));
    }
    CHECK(tile == whole.tiles());
    CHECK(plain == whole.plain_bytes());
  }
}
