// Figures and the code they were measured with: a row of docs/benchmarks/linear-cuda.md whose kernels have changed
// since must say `stale`. Needs the pinned NVRTC, no GPU.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "jit/device_bundle.hpp"
#include "jit/host.hpp"
#include "plugins/linear/cuda/bench/kernel_records.hpp"
#include "plugins/linear/cuda/bundle.hpp"
#include "tests/compile/records.hpp"

using namespace tare;
using namespace tare::records;

namespace {

constexpr const char* kFolder = TARE_SOURCE_DIR "/docs/benchmarks/";

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

}  // namespace

TEST_CASE("rows of a page are found under their heading alone") {
  const std::string page =
      "## H100 layer\n| M | x |\n|---|---|\n| 1 | 2.0 |\n| 16 | 3.0 | stale\n### Single\n| 1 | 9 |\n## H200\n| 1 | 4 "
      "|\n";
  const auto rows = table_rows(page, "H100");
  CHECK(rows.size() == 2);
  CHECK(rows.find(1)->second == "| 1 | 2.0 |");
  CHECK(rows.find(16)->second.find("stale") != std::string::npos);
  CHECK(table_rows(page, "H200").size() == 1);
}

TEST_CASE("a record is current only when all of its kernels have the tree's hashes") {
  const auto nvrtc = jit::Nvrtc::open(jit::nvrtc_folders(TARE_NVRTC_FOLDER));
  if (!nvrtc) {
    std::printf("skipped: %s\n", nvrtc.status().message().c_str());
    return;
  }
  KernelHashes hashes(**nvrtc, jit::SourceSet({jit::device_bundle(), jit::linear_bundle()}));
  const std::string source = "plugins/linear/cuda/pack.cuh", expression = "tare::linear_cuda::exponent_histogram";
  const auto hash = hashes.hash(source, expression);
  REQUIRE_MESSAGE(hash.ok(), hash.status().message());
  LayerRecord record{.device = "x", .code = "w12", .tokens = 1, .kernels = {{source, expression, *hash}}};
  CHECK(is_current(record, hashes));
  record.kernels.push_back({source, expression, "0123"});
  CHECK_FALSE(is_current(record, hashes));
  record.kernels.back() = {source, "tare::linear_cuda::gone", *hash};
  CHECK_FALSE(is_current(record, hashes));
  record.kernels.clear();
  CHECK_FALSE(is_current(record, hashes));
}

TEST_CASE("a measurement writes the hashes of the kernels that ran") {
  const auto nvrtc = jit::Nvrtc::open(jit::nvrtc_folders(TARE_NVRTC_FOLDER));
  if (!nvrtc) {
    std::printf("skipped: %s\n", nvrtc.status().message().c_str());
    return;
  }
  const std::string folder = TARE_BINARY_DIR "/records-test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const jit::KernelRequest request{"plugins/linear/cuda/pack.cuh", "tare::linear_cuda::exponent_histogram", "sm_90a"};
  std::string recorded;
  for (const bool from_disk : {false, true}) {
    jit::JitOptions options;
    options.nvrtc_folders = jit::nvrtc_folders(std::string(TARE_NVRTC_FOLDER)), options.cache_folder = folder;
    const auto jit = jit::make_jit(std::move(options));
    REQUIRE(jit->add_bundle(jit::device_bundle()).ok());
    REQUIRE(jit->add_bundle(jit::linear_bundle()).ok());
    const auto made = jit->compile_all({&request, 1});
    REQUIRE_MESSAGE(made[0].ok(), made[0].status().message());
    CHECK((*made[0])->from_cache == from_disk);
    linear_cuda::bench::KernelRecords kernels;
    kernels.add(request, **made[0]);
    CHECK(kernels.compilers() == jit::kPinnedCompiler);
    CHECK(kernels.missing() == "");
    const std::string json = kernels.json(request.source, request.expression);
    CHECK((recorded.empty() || recorded == json));
    recorded = json;
    CHECK(kernels.json(request.source, "another").find("ptx") == std::string::npos);
  }
  // What was measured so is current, without another program.
  const std::string path = folder + "/records.jsonl";
  const auto write = [&](const std::string& kernel) {
    std::ofstream(path) << R"({"kind":"layer","device":"x","tokens":1,"kernels":[)" << kernel << "]}\n";
  };
  KernelHashes hashes(**nvrtc, jit::SourceSet({jit::device_bundle(), jit::linear_bundle()}));
  write(recorded);
  auto records = read_layers(path);
  REQUIRE(records.ok());
  CHECK(is_current(records->at(0), hashes));
  CHECK(*add_hashes(path, hashes) == 0);
  // Of another compiler there is none: it is filled in where it lacks, and one that differs is left and counted.
  linear_cuda::bench::KernelRecords others;
  jit::CompiledKernel kernel;
  kernel.ptx_hash = "0123", kernel.compiler = "13.1.80";
  others.add(request, kernel);
  CHECK(others.missing() ==
        "1 kernels are of NVRTC 13.1.80: records leave out their hashes, which are those of NVRTC 13.0.88");
  const std::string bare = others.json(request.source, request.expression);
  CHECK(bare.find("ptx") == std::string::npos);
  write(bare);
  CHECK(*add_hashes(path, hashes) == 0);
  records = read_layers(path);
  REQUIRE(records.ok());
  CHECK(is_current(records->at(0), hashes));
  write(bare.substr(0, bare.size() - 1) + R"(,"ptx":"0123"})");
  CHECK(*add_hashes(path, hashes) == 1);
  records = read_layers(path);
  REQUIRE(records.ok());
  CHECK(records->at(0).kernels.at(0).ptx == "0123");
}

TEST_CASE("the compiler that hashes are of is the one that is fetched") {
  const std::string script = read_file(TARE_SOURCE_DIR "/jit/fetch_nvrtc.sh");
  CHECK(script.find("version=" + std::string(jit::kPinnedCompiler) + "\n") != std::string::npos);
}

TEST_CASE("rows whose kernels have changed since the measurement are marked stale") {
  const auto nvrtc = jit::Nvrtc::open(jit::nvrtc_folders(TARE_NVRTC_FOLDER));
  if (!nvrtc) {
    std::printf("skipped: %s\n", nvrtc.status().message().c_str());
    return;
  }
  KernelHashes hashes(**nvrtc, jit::SourceSet({jit::device_bundle(), jit::linear_bundle()}));
  const std::string page = read_file(std::string(kFolder) + "linear-cuda.md");
  REQUIRE_FALSE(page.empty());
  size_t current = 0, old = 0;
  struct Card {
    std::string file, heading;
  };
  for (const Card& card : {Card{"linear-cuda-h100.jsonl", "H100 SXM, w12"}, Card{"linear-cuda-h200.jsonl", "H200, w12"},
                           Card{"linear-cuda-w11-h200.jsonl", "H200, w11"}}) {
    const auto records = read_layers(std::string(kFolder) + "data/" + card.file);
    REQUIRE_MESSAGE(records.ok(), records.status().message());
    const auto rows = table_rows(page, card.heading);
    CHECK_MESSAGE(!rows.empty(), "no table under a heading with \"", card.heading, "\"");
    for (const LayerRecord& record : *records) {
      const auto row = rows.find(record.tokens);
      if (row == rows.end()) continue;  // measured, not shown
      const bool fresh = is_current(record, hashes);
      ++(fresh ? current : old);
      CHECK_MESSAGE((fresh || row->second.find("stale") != std::string::npos), card.heading, ", M = ", record.tokens,
                    ": the kernels have changed since this was measured; measure again or mark the row `stale`");
    }
    for (const auto& [tokens, row] : rows) {
      const bool known = std::ranges::any_of(*records, [&](const LayerRecord& r) { return r.tokens == tokens; });
      CHECK_MESSAGE(known, card.heading, ", M = ", tokens, ": no record stands behind this row");
    }
  }
  std::printf("%zu rows are the tree's, %zu are stale\n", current, old);
}
