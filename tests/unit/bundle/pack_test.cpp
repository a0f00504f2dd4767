#include "core/bundle/tare_pack.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include "core/bundle/checkpoint.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "tests/unit/bundle/models.hpp"

namespace {

using namespace tare;
using namespace tare::testing;
namespace fs = std::filesystem;

const std::string kGolden = TARE_SOURCE_DIR "/tests/golden/models/";

// Two shards with an index, an extra safetensors file, nested files, a link, and what is to be left out.
void make_model(const Folder& folder) {
  Numbers numbers;
  const std::vector<MadeTensor> first = {
      {"a.weight", "BF16", {300, 520}, trained_bf16(300, 520, numbers)},
      {"a.bias", "BF16", {520}, trained_bf16(1, 520, numbers)},
      {"empty", "BF16", {0, 5}, ""},
      {"scalar", "F32", {}, bytes_of(1.5f)},
      {"random", "BF16", {64, 300}, random_bytes(64 * 300 * 2, numbers)},
  };
  std::string f32, f16;
  for (int i = 0; i < 130 * 70; ++i) f32 += bytes_of(static_cast<float>(numbers.normal()));
  for (int i = 0; i < 90 * 33; ++i)
    f16 += bytes_of(static_cast<uint16_t>(0x2c00 + (numbers.next() >> 40 & 0xfff) + (i % 2 ? 0x8000 : 0)));
  const std::vector<MadeTensor> second = {
      {"experts", "BF16", {3, 100, 260}, trained_bf16(300, 260, numbers)},
      {"wide", "F32", {130, 70}, f32},
      {"half", "F16", {90, 33}, f16},
      {"ids", "I64", {40}, random_bytes(320, numbers)},
      {"zeros", "BF16", {128, 256}, std::string(128 * 256 * 2, '\0')},
  };
  std::string map;
  for (const auto& t : first) map += (map.empty() ? "\"" : ", \"") + t.name + "\": \"model-1.safetensors\"";
  for (const auto& t : second) map += ", \"" + t.name + "\": \"model-2.safetensors\"";
  folder.write("model-1.safetensors", shard_of(first));
  folder.write("model-2.safetensors", shard_of(second));
  folder.write("model.safetensors.index.json", R"({"metadata": {}, "weight_map": {)" + map + "}}");
  folder.write("config.json", R"({"architectures": ["X"], "hidden_size": 2})");
  folder.write("broken.safetensors", "not one");
  folder.write("empty.txt", "");
  fs::create_directories(folder.path + "/original/deep");
  folder.write("original/adapter.safetensors", shard_of({{"x", "F8_E4M3", {5, 7}, random_bytes(35, numbers)}}));
  folder.write("original/deep/notes.txt", random_bytes(3 << 20, numbers));
  fs::create_directories(folder.path + "/.git");
  folder.write(".git/HEAD", "ref");
  folder.write("skip.bin", "left out");
}

TEST_CASE("a folder comes back file by file with equal SHA-256") {
  Folder model, other, work;
  make_model(model);
  // As Hugging Face's cache has it: the folder holds links to blobs elsewhere.
  const std::string blob = other.write("blob", "from the cache");
  fs::create_symlink(blob, model.path + "/tokenizer.json");
  fs::create_symlink("nowhere", model.path + "/dangling");
  const std::string bundle = work.path + "/m.tare";
  PackOptions options;
  options.exclude = {"skip.*"};
  const auto report = pack_tare(model.path, bundle, {}, options);
  REQUIRE_MESSAGE(report.ok(), report.status().message());
  CHECK(report->left_out == std::vector<std::string>{".git", "dangling (not a regular file)", "skip.bin"});
  CHECK(report->stored_weight_bytes < report->weight_bytes * 8 / 10);
  CHECK(report->bundle_bytes == static_cast<int64_t>(fs::file_size(bundle)));

  auto expected = hashes_of(model.path);
  expected.erase(".git/HEAD"), expected.erase("skip.bin");
  REQUIRE(expected.contains("tokenizer.json"));
  const Status unpacked = unpack_tare(bundle, work.path + "/out", {});
  REQUIRE_MESSAGE(unpacked.ok(), unpacked.message());
  CHECK(hashes_of(work.path + "/out") == expected);
  CHECK(!fs::is_symlink(work.path + "/out/tokenizer.json"));

  CHECK(verify_tare(bundle, {}).ok());
  VerifyOptions deep;
  deep.deep = true;
  CHECK(verify_tare(bundle, deep).ok());
  VerifyOptions against;
  against.against = model.path;
  CHECK(verify_tare(bundle, against).ok());
  against.against = work.path + "/out";
  CHECK(verify_tare(bundle, against).ok());
  const auto at = static_cast<std::streamoff>(fs::file_size(work.path + "/out/model-2.safetensors") - 3);
  std::fstream(work.path + "/out/model-2.safetensors", std::ios::in | std::ios::out | std::ios::binary)
      .seekp(at)
      .put('\x7f');
  CHECK(verify_tare(bundle, against).message() ==
        work.path + "/out/model-2.safetensors: differs from the bundle at byte " + std::to_string(at));

  // The same bytes whatever the number of threads.
  options.threads = 1;
  REQUIRE(pack_tare(model.path, work.path + "/one.tare", {}, options).ok());
  CHECK(*sha256_of_file(work.path + "/one.tare") == *sha256_of_file(bundle));
  for (const auto& entry : fs::directory_iterator(work.path))
    CHECK_MESSAGE(entry.path().string().find("partial") == std::string::npos, entry.path());
}

TEST_CASE("a bundle opens as the checkpoint that was packed") {
  for (const char* name : {"llama-plain", "llama-sharded", "llama-f16", "llama-plain-f32", "gemma3-plain"}) {
    Folder work;
    const std::string bundle = work.path + "/m.tare";
    const auto report = pack_tare(kGolden + name, bundle, {}, {});
    REQUIRE_MESSAGE(report.ok(), report.status().message());
    const auto folder = open_checkpoint(kGolden + name, {}), packed = open_checkpoint(bundle, {});
    REQUIRE_MESSAGE(packed.ok(), packed.status().message());
    CHECK(packed->kind == Checkpoint::Kind::tare);
    CHECK(packed->name == "m");
    CHECK(packed->config_json == folder->config_json);
    CHECK(packed->text.tokenizer_json == folder->text.tokenizer_json);
    CHECK(packed->text.tokenizer_config_json == folder->text.tokenizer_config_json);
    CHECK(packed->text.generation_config_json == folder->text.generation_config_json);
    CHECK(packed->text.chat_template == folder->text.chat_template);
    CHECK(packed->dtype == folder->dtype);
    REQUIRE(packed->weights->tensors().size() == folder->weights->tensors().size());
    for (size_t i = 0; i < packed->weights->tensors().size(); ++i) {
      const StoredTensor &a = folder->weights->tensors()[i], &b = packed->weights->tensors()[i];
      CHECK(a.name == b.name);
      CHECK(a.shape == b.shape);
      CHECK(a.dtype == b.dtype);
      CHECK(*sha256_of(*folder->weights, a) == *sha256_of(*packed->weights, b));
      if (*a.dtype > DType::f32 || a.elements() == 0) continue;
      // Any rows, converted too.
      const int64_t begin = a.rows() / 3, end = std::min(a.rows(), begin + 5);
      const auto bytes = static_cast<size_t>((end - begin) * a.row_elements() * 4);
      std::vector<std::byte> wanted(bytes), found(bytes);
      REQUIRE(folder->weights->read(a, begin, end, DType::f32, wanted).ok());
      REQUIRE(packed->weights->read(b, begin, end, DType::f32, found).ok());
      CHECK(wanted == found);
    }
    // What has no ending is known by its first bytes.
    fs::rename(bundle, work.path + "/nameless");
    CHECK(open_checkpoint(work.path + "/nameless", {})->kind == Checkpoint::Kind::tare);
  }
}

}  // namespace
