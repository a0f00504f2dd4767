// Bundles that are damaged, cut, newer, or written where writing fails; and parts of tensors.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "core/bundle/checkpoint.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "core/bundle/tare_output.hpp"
#include "core/bundle/tare_pack.hpp"
#include "tests/unit/bundle/models.hpp"

namespace {

using namespace tare;
using namespace tare::testing;
namespace fs = std::filesystem;

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void make_small(const Folder& folder, int64_t rows = 130, int64_t columns = 600) {
  Numbers numbers;
  folder.write("config.json", R"({"architectures": ["X"]})");
  folder.write("model.safetensors", shard_of({{"matrix", "BF16", {rows, columns}, trained_bf16(rows, columns, numbers)},
                                              {"random", "U8", {3000}, random_bytes(3000, numbers)}}));
}

TEST_CASE("a flipped bit is found wherever it is, and the tensor is named") {
  Folder model, work;
  make_small(model);
  const std::string path = work.path + "/m.tare";
  REQUIRE(pack_tare(model.path, path, {}, {}).ok());
  const std::string good = slurp(path);
  const auto bundle = *TareBundle::open(path);
  const auto& matrix = bundle->directory().tensors[0];
  REQUIRE(matrix.codec == TareTensor::Codec::exp_ans);
  const std::string damaged = work.path + "/damaged.tare";
  const auto verdict = [&](size_t at, int bit) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
    work.write("damaged.tare", bytes);
    return verify_tare(damaged, {});
  };
  Numbers numbers;
  std::vector<size_t> places = {0, 8, 10, 12, 40, 56, 100, 4095, good.size() - 1};
  for (int i = 0; i < 200; ++i) places.push_back(numbers.next() % good.size());
  for (size_t at : places) {
    const Status status = verdict(at, static_cast<int>(numbers.next() % 8));
    CHECK_MESSAGE(!status.ok(), at);
    CHECK_MESSAGE(!status.message().empty(), at);
  }
  for (int64_t at : {matrix.stored.offset, matrix.stored.offset + matrix.stored.bytes / 2,
                     matrix.stored.table_offset() + 9, matrix.stored.end() - 1}) {
    CHECK(verdict(static_cast<size_t>(at), 3).message().find("tensor 'matrix' is damaged") != std::string::npos);
    // Loading finds what it reads.
    const auto checkpoint = open_checkpoint(damaged, {});
    REQUIRE(checkpoint.ok());
    std::vector<std::byte> out(static_cast<size_t>(matrix.bytes));
    const StoredTensor& t = *checkpoint->weights->find("matrix");
    const Status status = checkpoint->weights->read(t, 0, t.rows(), DType::bf16, out);
    CHECK(status.code() == Code::corrupt);
    CHECK(status.message().find("tensor 'matrix'") != std::string::npos);
  }
}

TEST_CASE("what is no bundle, a newer one, or cut is refused in one sentence") {
  Folder model, work;
  make_small(model);
  const std::string path = work.path + "/m.tare";
  REQUIRE(pack_tare(model.path, path, {}, {}).ok());
  const std::string good = slurp(path);
  const auto refusal = [&](const std::string& bytes) {
    work.write("x.tare", bytes);
    const Status status = open_checkpoint(work.path + "/x.tare", {}).status();
    CHECK(verify_tare(work.path + "/x.tare", {}).message() == status.message());
    return status.message();
  };
  CHECK(refusal("").ends_with("does not begin with TAREBNDL, so it is no .tare bundle"));
  std::string other = good;
  other[0] = 'X';
  CHECK(refusal(other).find("so it is no .tare bundle") != std::string::npos);
  other = good;
  other[8] = 2;
  CHECK(refusal(other).ends_with("has bundle format 2.0, this version reads 1.x: a newer tare reads it"));
  for (size_t bytes : {size_t{12}, size_t{17}, size_t{4000}, size_t{4096}, good.size() / 2, good.size() - 1})
    CHECK(!refusal(good.substr(0, bytes)).empty());
  CHECK(refusal(good.substr(0, good.size() - 1)).find("it is truncated") != std::string::npos);
  CHECK(refusal(good + "x").find("its header says") != std::string::npos);
}

TEST_CASE("sizes and names that cannot be are refused behind good checksums") {
  Folder model, work;
  make_small(model);
  const std::string path = work.path + "/m.tare";
  REQUIRE(pack_tare(model.path, path, {}, {}).ok());
  const TareDirectory good = (*TareBundle::open(path))->directory();
  const auto refusal = [&](const std::function<void(TareDirectory&)>& change) {
    TareDirectory d = good;
    change(d);
    const std::string directory = print_tare_directory(d);
    d.file_bytes = d.directory_offset + static_cast<int64_t>(directory.size());
    const auto header = parse_tare_header(print_tare_header(d, directory), d.file_bytes, "x");
    REQUIRE_MESSAGE(header.ok(), header.status().message());
    return parse_tare_directory(directory, *header, "x").status().message();
  };
  CHECK(refusal([](TareDirectory&) {}).empty());
  CHECK(!refusal([](auto& d) { d.files[0].name = "../../etc/passwd"; }).empty());
  CHECK(!refusal([](auto& d) { d.files[0].name = "/etc/passwd"; }).empty());
  CHECK(!refusal([](auto& d) { d.files[0].name = d.files[1].name; }).empty());
  CHECK(!refusal([](auto& d) { d.files[0].bytes = int64_t{1} << 62; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].shape = {int64_t{1} << 40, int64_t{1} << 40}; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].shape[0] = -1; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].bytes = int64_t{1} << 62; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].begin += 2; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].file = 77; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].stored.bytes = int64_t{1} << 62; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].stored.pieces = int64_t{1} << 60; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].stored.offset = -4096; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].stored.offset = d.tensors[1].stored.offset; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].grid.tile_rows = 60000; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].grid.tile_columns = 0; }).empty());
  CHECK(!refusal([](auto& d) { ++d.tensors[0].tables.frequencies[1][120]; }).empty());
  CHECK(!refusal([](auto& d) { d.tensors[0].dtype = "Q9"; }).empty());
}

TEST_CASE("a bundle is not packed again without a layout, and what may be done is said") {
  Folder model, work;
  make_small(model);
  const std::string path = work.path + "/m.tare", again = work.path + "/again.tare";
  REQUIRE(pack_tare(model.path, path, {}, {}).ok());
  const auto packed = pack_tare(path, again, {}, {});
  REQUIRE_FALSE(packed.ok());
  CHECK(packed.status().message().find("m.tare is a bundle already") != std::string::npos);
  CHECK(packed.status().message().find("tare pack --layout") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(again));
}

TEST_CASE("a rank reads about its share, by rows and by columns, of every expert") {
  Folder model, work;
  Numbers numbers;
  model.write("config.json", "{}");
  model.write("model.safetensors", shard_of({{"m", "BF16", {1024, 4096}, trained_bf16(1024, 4096, numbers)},
                                             {"experts", "BF16", {4, 100, 512}, trained_bf16(400, 512, numbers)}}));
  const std::string path = work.path + "/m.tare";
  REQUIRE(pack_tare(model.path, path, {}, {}).ok());
  const std::string plain = slurp(model.path + "/model.safetensors");
  const auto bundle = *TareBundle::open(path);
  for (const TareTensor& t : bundle->directory().tensors) {
    const int64_t rows = t.grid.rows * t.grid.experts, columns = t.grid.columns;
    const auto* data = reinterpret_cast<const std::byte*>(plain.data()) + t.begin;
    for (int64_t ranks : {2, 8})
      for (bool by_rows : {true, false})
        for (int64_t rank = 0; rank < ranks; ++rank) {
          const int64_t size = by_rows ? t.grid.rows : columns, begin = size * rank / ranks,
                        end = size * (rank + 1) / ranks;
          const int64_t before = bundle->bytes_read();
          for (int64_t e = 0; e < t.grid.experts; ++e) {  // each rank keeps its part of every expert
            const int64_t r0 = e * t.grid.rows + (by_rows ? begin : 0),
                          r1 = e * t.grid.rows + (by_rows ? end : t.grid.rows);
            const int64_t c0 = by_rows ? 0 : begin, c1 = by_rows ? columns : end;
            std::vector<std::byte> out(static_cast<size_t>((r1 - r0) * (c1 - c0) * 2));
            REQUIRE(bundle->read_block(t, r0, r1, c0, c1, out).ok());
            for (int64_t r = r0; r < r1; ++r)
              REQUIRE(std::memcmp(out.data() + (r - r0) * (c1 - c0) * 2, data + (r * columns + c0) * 2,
                                  static_cast<size_t>((c1 - c0) * 2)) == 0);
          }
          if (t.name != "m") continue;
          const double share = static_cast<double>(bundle->bytes_read() - before) / static_cast<double>(t.stored.bytes);
          CHECK_MESSAGE(share < 1.03 / static_cast<double>(ranks), ranks, " ranks: ", share);
        }
    // Tiles do not cross experts: their number is a multiple of the experts'.
    CHECK(t.stored.pieces % t.grid.experts == 0);
    CHECK(rows == t.grid.rows * t.grid.experts);
  }
}

TEST_CASE("a full disk, a target that cannot be written, an interruption: one sentence, no half file") {
  Folder model, work;
  make_small(model, 2000, 1000);
  const std::string path = work.path + "/m.tare";
  const pid_t child = ::fork();
  if (child == 0) {  // a limit on file sizes stands for a full disk
    std::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit {
      1 << 20, 1 << 20
    };
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto report = pack_tare(model.path, path, {}, {});
    ::_exit(!report.ok() && report.status().message().find("cannot be written") != std::string::npos ? 0 : 1);
  }
  int ended = 1;
  ::waitpid(child, &ended, 0);
  CHECK(ended == 0);
  CHECK(fs::is_empty(work.path));
  CHECK(pack_tare(model.path, "/proc/m.tare", {}, {}).status().message().find("cannot be written") !=
        std::string::npos);
  CHECK(pack_tare(model.path, work.path, {}, {}).status().message().find("is a folder") != std::string::npos);
  CHECK(pack_tare(model.path, work.path + "/none/m.tare", {}, {}).status().message().find("cannot be written") !=
        std::string::npos);
  PackOptions stopped;
  stopped.stop = [] { return true; };
  CHECK(pack_tare(model.path, path, {}, stopped).status().code() == Code::cancelled);
  CHECK(fs::is_empty(work.path));
  REQUIRE(pack_tare(model.path, path, {}, {}).ok());
  TareWork stop_too;
  stop_too.stop = [] { return true; };
  CHECK(unpack_tare(path, work.path + "/out", stop_too).code() == Code::cancelled);
  CHECK(!fs::exists(work.path + "/out"));
  fs::create_directories(work.path + "/full");
  work.write("full/x", "x");
  CHECK(unpack_tare(path, work.path + "/full", {}).message().find("is not empty, expected a new folder") !=
        std::string::npos);
  fs::create_directories(work.path + "/out.partial-abc123/left");  // of a run that was killed
  CHECK(unpack_tare(path, work.path + "/out", {}).ok());
  CHECK(hashes_of(work.path + "/out") == hashes_of(model.path));
  CHECK(!fs::exists(work.path + "/out.partial-abc123"));
}

TEST_CASE("kill -9 in mid-write leaves nothing under the name, and the next run clears up") {
  Folder model, work;
  make_small(model, 2000, 1000);
  const std::string path = work.path + "/m.tare";
  for (int round = 0; round < 4; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      PackOptions options;
      int asked = 0;
      options.threads = 1;
      options.stop = [&] {
        if (++asked > 4 + 8 * round) ::raise(SIGKILL);
        return false;
      };
      (void)pack_tare(model.path, path, {}, options);
      ::_exit(3);
    }
    int ended = 0;
    ::waitpid(child, &ended, 0);
    REQUIRE(WIFSIGNALED(ended));
    CHECK(!fs::exists(path));
  }
  work.write("m.tare.partial-abc123", "of a process that is gone");
  REQUIRE(pack_tare(model.path, path, {}, {}).ok());
  CHECK(std::distance(fs::directory_iterator(work.path), {}) == 1);
  CHECK(verify_tare(path, {}).ok());
}

TEST_CASE("kill -9 while a folder is restored leaves nothing under its name, and the next run clears up") {
  Folder model, work;
  make_small(model, 2000, 1000);
  const std::string path = work.path + "/m.tare", out = work.path + "/out";
  REQUIRE(pack_tare(model.path, path, {}, {}).ok());
  for (int round = 0; round < 3; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      TareWork work_options;
      int asked = 0;
      work_options.threads = 1;
      work_options.stop = [&] {
        if (++asked > 2 + 6 * round) ::raise(SIGKILL);
        return false;
      };
      (void)unpack_tare(path, out, work_options);
      ::_exit(3);
    }
    int ended = 0;
    ::waitpid(child, &ended, 0);
    REQUIRE(WIFSIGNALED(ended));
    CHECK(!fs::exists(out));
    CHECK(std::distance(fs::directory_iterator(work.path), {}) == 2);  // the bundle, and what this run left
  }
  REQUIRE(unpack_tare(path, out, {}).ok());
  CHECK(hashes_of(out) == hashes_of(model.path));
  CHECK(std::distance(fs::directory_iterator(work.path), {}) == 2);
}

}  // namespace
