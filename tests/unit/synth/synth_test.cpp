#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/base/file.hpp"
#include "core/base/sha256.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/synth/synth.hpp"

using namespace tare;
using namespace tare::synth;

namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string path = "/tmp/tare-synth-XXXXXX";
  Folder() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const char* name) const { return path + "/" + name; }
  size_t entries() const { return static_cast<size_t>(std::distance(fs::directory_iterator(path), {})); }
};
synth::Shape shape(const char* name, int64_t layers = 0) {
  synth::Shape out = *find_shape(name);
  if (layers > 0) out.layers = layers;
  return out;
}
std::string digest(const std::string& path) { return *sha256_of_file(path); }

}  // namespace

TEST_CASE("A model is a folder that opens, with the statistics that were promised") {
  const Folder folder;
  for (const char* name : {"tiny-llama", "tiny-mistral", "tiny-qwen3"}) {
    const std::string out = folder / name;
    const synth::Shape s = shape(name);
    const auto written = write_model(s, out, {.seed = 3});
    REQUIRE_MESSAGE(written.ok(), written.status().message());
    CHECK(written->statistics.wide == outlier_tensors(s));
    const auto checkpoint = open_checkpoint(out, {});
    REQUIRE_MESSAGE(checkpoint.ok(), checkpoint.status().message());
    CHECK(checkpoint->weights->tensors().size() == tensors_of(s).size());
    int64_t bytes = 0;
    // The statistics once more, from the file's bytes.
    std::vector<MatrixStatistics> matrices;
    for (const StoredTensor& t : checkpoint->weights->tensors()) {
      std::vector<std::byte> data(static_cast<size_t>(t.bytes()));
      REQUIRE(checkpoint->weights->read(t, 0, t.rows(), DType::bf16, data).ok());
      bytes += t.bytes();
      ExponentCounts counts;
      count_exponents(DType::bf16, data, counts);
      CHECK(counts.of[255] == 0);  // neither infinity nor NaN
      if (t.shape.size() == 2) {
        matrices.push_back({t.name, counts});
        continue;
      }
      for (size_t i = 0; i < data.size(); i += 2) {  // norms are near one
        uint16_t code;
        std::memcpy(&code, &data[i], 2);
        const float v = std::bit_cast<float>(uint32_t{code} << 16);
        CHECK(v >= 0.5f);
        CHECK(v <= 1.5f);
      }
    }
    CHECK(bytes == written->weight_bytes);
    CHECK(check(statistics_of(matrices), outlier_tensors(s)).ok());
  }
  CHECK(folder.entries() == 3);  // nothing but what was asked for
}

TEST_CASE("Every seed and number of layers keeps the promise") {
  const Folder folder;
  for (uint64_t seed = 0; seed < 6; ++seed)
    for (int64_t layers : {1, 2, 3}) {
      const std::string out = folder / ("m" + std::to_string(seed) + "-" + std::to_string(layers)).c_str();
      const auto written = write_model(shape("tiny-llama", layers), out, {.seed = seed});
      CHECK_MESSAGE(written.ok(), written.status().message());
    }
}

TEST_CASE("The same seed gives the same bytes, whatever the threads; another seed others") {
  const Folder folder;
  const synth::Shape s = shape("tiny-llama", 2);
  for (const auto& [name, seed, threads] :
       std::vector<std::tuple<const char*, uint64_t, int>>{{"one", 7, 1}, {"five", 7, 5}, {"other", 8, 2}})
    REQUIRE(write_model(s, folder / name, {.seed = seed, .threads = threads}).ok());
  for (const char* file : {"model.safetensors", "config.json", "tokenizer.json", "synth.json"})
    CHECK(digest((folder / "one/") + file) == digest((folder / "five/") + file));
  CHECK(digest(folder / "one/model.safetensors") != digest(folder / "other/model.safetensors"));
}

TEST_CASE("A large model comes in shards with an index, and the same numbers") {
  const Folder folder;
  const synth::Shape s = shape("tiny-qwen3", 2);
  REQUIRE(write_model(s, folder / "whole", {}).ok());
  const auto written = write_model(s, folder / "cut", {.shard_bytes = 2'000'000});
  REQUIRE(written.ok());
  CHECK(written->shards == 4);
  CHECK(is_file(folder / "cut/model-00001-of-00004.safetensors"));
  CHECK(is_file(folder / "cut/model.safetensors.index.json"));
  const auto whole = open_checkpoint(folder / "whole", {}), cut = open_checkpoint(folder / "cut", {});
  REQUIRE_MESSAGE(cut.ok(), cut.status().message());
  REQUIRE(cut->weights->tensors().size() == whole->weights->tensors().size());
  for (const StoredTensor& t : whole->weights->tensors())
    CHECK(*sha256_of(*cut->weights, *cut->weights->find(t.name)) == *sha256_of(*whole->weights, t));
}

TEST_CASE("A target that is there is left alone") {
  const Folder folder;
  const synth::Shape s = shape("tiny-llama", 1);
  fs::create_directory(folder / "full");
  std::ofstream(folder / "full/mine") << "x";
  std::ofstream(folder / "file") << "x";
  CHECK(write_model(s, folder / "full", {}).status().message() ==
        folder / "full: exists and is not empty, expected a new folder");
  CHECK(write_model(s, folder / "file", {}).status().message() ==
        folder / "file: exists and is no folder, expected a new folder");
  CHECK(write_model(s, folder / "no/where", {}).status().message() ==
        folder / "no/where: its folder " + (folder / "no does not exist"));
  CHECK(folder.entries() == 2);
  fs::create_directory(folder / "empty");
  CHECK(write_model(s, folder / "empty", {}).ok());
  CHECK(write_model(s, (folder / "slash") + "/", {}).ok());
  CHECK(is_file(folder / "slash/config.json"));
}

TEST_CASE("Too small a disk is said before a byte is written, and a full one leaves nothing") {
  const Folder folder;
  const synth::Shape s = shape("tiny-llama", 1);
  const Status small = write_model(s, folder / "a", {.free_bytes = 1 << 20}).status();
  CHECK(small.code() == Code::exhausted);
  CHECK(small.message() == folder.path + ": has 1.0 MiB free, the model takes 4.4 MiB");
  CHECK(folder.entries() == 0);
  // A limit on the size of files fails like a disk that fills up.
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto old = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = before;
  limit.rlim_cur = 1 << 20;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  const Status full = write_model(s, folder / "b", {.threads = 2}).status();
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old);
  CHECK(full.code() == Code::exhausted);
  CHECK(full.message().find("model.safetensors: cannot be written: File too large") != std::string::npos);
  CHECK(folder.entries() == 0);
}

TEST_CASE("Stopping leaves nothing, and the next run takes away what a killed one left") {
  const Folder folder;
  const synth::Shape s = shape("tiny-llama", 1);
  int asked = 0;
  const Status stopped = write_model(s, folder / "a", {.threads = 1, .stop = [&] { return ++asked > 2; }}).status();
  CHECK(stopped.code() == Code::cancelled);
  CHECK(folder.entries() == 0);
  fs::create_directory(folder / "a.partial-abc123");
  std::ofstream(folder / "a.partial-abc123/model.safetensors") << "x";
  std::ofstream(folder / "a.partial-notes") << "mine";  // a file: none of ours
  REQUIRE(write_model(s, folder / "a", {}).ok());
  CHECK_FALSE(fs::exists(folder / "a.partial-abc123"));
  CHECK(folder.entries() == 2);
}
