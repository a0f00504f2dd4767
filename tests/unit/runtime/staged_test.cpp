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
  Result<int64_t> send(Device& device, const std::string& from, int64_t* decoded = nullptr) {
    TARE_ASSIGN_OR_RETURN(const auto checkpoint, open_checkpoint(from, {}));
    const CheckpointWeights source(*checkpoint.weights);
    std::vector<StagedInputs::Weight> weights;
    for (size_t i = 0; i < decls.size(); ++i) weights.push_back({&decls[i], &infos[i]});
    TARE_ASSIGN_OR_RETURN(const auto inputs, StagedInputs::create(device, weights, source, "m/weights", {}));
    TARE_ASSIGN_OR_RETURN(const auto stream, device.create_stream());
    int64_t wrong = 0;
    for (const auto& t : made) {
      TARE_ASSIGN_OR_RETURN(const void* const rows, inputs->next(*stream));
      wrong += std::memcmp(rows, t.bytes.data(), t.bytes.size()) != 0;
      TARE_RETURN_IF_ERROR(inputs->done(*stream));
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

TEST_CASE("a device that decodes is sent the coded bytes, and has the numbers bit for bit") {
  Packed m;
  StagingDevice device;
  int64_t decoded = 0;
  const auto wrong = m.send(device, m.path, &decoded);
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
