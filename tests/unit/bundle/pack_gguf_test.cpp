// A GGUF packed: what `unpack` writes is a Hugging Face folder with the numbers that the GGUF's reader gives.
#include "core/bundle/checkpoint.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "core/bundle/tare_pack.hpp"
#include "tests/unit/bundle/gguf_families.hpp"
#include "tests/unit/bundle/models.hpp"

namespace {

using namespace tare;
using namespace tare::testing;

const std::string kModels = TARE_SOURCE_DIR "/tests/golden/models/";
const Families& families() {
  static const Families all;
  return all;
}
std::string note(const std::vector<std::pair<std::string, std::string>>& info, std::string_view key) {
  for (const auto& [name, value] : info)
    if (name == key) return value;
  return "";
}
std::vector<std::byte> all_of(const WeightSource& source, const StoredTensor& t, DType as) {
  std::vector<std::byte> out(static_cast<size_t>(t.elements() * size_of(as)));
  const Status status = source.read(t, 0, t.rows(), as, out);
  REQUIRE_MESSAGE(status.ok(), status.message());
  return out;
}
void check_same(const Checkpoint& wanted, const Checkpoint& found) {
  REQUIRE(found.weights->tensors().size() == wanted.weights->tensors().size());
  for (const StoredTensor& t : wanted.weights->tensors()) {
    CAPTURE(t.name);
    const StoredTensor* same = found.weights->find(t.name);
    REQUIRE(same != nullptr);
    CHECK(same->shape == t.shape);
    CHECK(same->dtype == t.dtype);
    CHECK(!same->expanded);
    CHECK(all_of(*found.weights, *same, *t.dtype) == all_of(*wanted.weights, t, *t.dtype));
  }
  CHECK(found.dtype == wanted.dtype);
  CHECK(found.config_json == wanted.config_json);
  CHECK(found.text.chat_template == wanted.text.chat_template);
  REQUIRE(found.text.gguf);
  CHECK(found.text.gguf->model == wanted.text.gguf->model);
  CHECK(found.text.gguf->pre == wanted.text.gguf->pre);
  CHECK(found.text.gguf->tokens == wanted.text.gguf->tokens);
  CHECK(found.text.gguf->types == wanted.text.gguf->types);
  CHECK(found.text.gguf->merges == wanted.text.gguf->merges);
  CHECK(found.text.gguf->scores == wanted.text.gguf->scores);
  CHECK(found.text.gguf->bos == wanted.text.gguf->bos);
}

TEST_CASE("a GGUF is packed as the folder of its expansion, and the bundle says what was expanded") {
  const std::pair<const char*, const char*> files[] = {
      {"llama-gqa", "BF16"}, {"llama-gqa", "F16"},  {"llama-gqa", "F32"},    {"llama-gqa", "Q8_0"},
      {"llama-gqa", "Q4_0"}, {"llama-gqa", "Q4_1"}, {"gemma3-plain", "BF16"}};
  for (const auto& [model, type] : files) {
    CAPTURE(model);
    CAPTURE(type);
    const std::string path = kModels + model + "/" + model + "." + type + ".gguf";
    const auto gguf = open_checkpoint(path, families());
    REQUIRE_MESSAGE(gguf.ok(), gguf.status().message());
    Folder work;
    const std::string bundle = work.path + "/m.tare", folder = work.path + "/m";
    const auto report = pack_tare(path, bundle, families(), {});
    REQUIRE_MESSAGE(report.ok(), report.status().message());
    CHECK(note(report->info, "kind") == "GGUF");
    CHECK(note(report->info, "source") == std::string(model) + "." + type + ".gguf");
    CHECK(report->weight_bytes == presented_bytes(*gguf->weights));

    int64_t quantised = 0;
    for (const StoredTensor& t : gguf->weights->tensors()) quantised += t.expanded;
    CHECK((quantised > 0) == (type[0] == 'Q'));
    const std::string expanded = quantised == 0
                                     ? ""
                                     : std::to_string(quantised) +
                                           " quantised tensors: " + std::to_string(stored_bytes(*gguf->weights)) +
                                           " bytes became " + std::to_string(presented_bytes(*gguf->weights));
    CHECK(note(report->info, "expanded from") == expanded);
    const auto opened = TareBundle::open(bundle);
    REQUIRE(opened.ok());
    CHECK(note((*opened)->directory().info, "expanded from") == expanded);

    VerifyOptions deep;
    deep.deep = true;
    CHECK(verify_tare(bundle, deep).ok());
    const auto packed = open_checkpoint(bundle, {});
    REQUIRE_MESSAGE(packed.ok(), packed.status().message());
    check_same(*gguf, *packed);

    const Status unpacked = unpack_tare(bundle, folder, {});
    REQUIRE_MESSAGE(unpacked.ok(), unpacked.message());
    const auto restored = open_checkpoint(folder, {});
    REQUIRE_MESSAGE(restored.ok(), restored.status().message());
    CHECK(restored->kind == Checkpoint::Kind::folder);
    check_same(*gguf, *restored);
    // A BF16 twin expands to the folder that it was converted from.
    if (std::string_view(type) == "BF16") {
      const auto original = open_checkpoint(kModels + model, {});
      for (const StoredTensor& t : original->weights->tensors()) {
        const StoredTensor* same = restored->weights->find(t.name);
        REQUIRE(same != nullptr);
        CHECK(all_of(*restored->weights, *same, *t.dtype) == all_of(*original->weights, t, *t.dtype));
      }
    }
    // And what was restored packs again to the same weights.
    const auto again = pack_tare(folder, work.path + "/again.tare", {}, {});
    REQUIRE_MESSAGE(again.ok(), again.status().message());
    CHECK(again->stored_weight_bytes == report->stored_weight_bytes);
    CHECK(note(again->info, "expanded from").empty());
  }
}

}  // namespace
