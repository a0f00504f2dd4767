// Figures and the code they were measured with: a row of docs/benchmarks/linear-cuda.md whose kernels have changed
// since must say `stale`. Needs the pinned NVRTC, no GPU.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "jit/device_bundle.hpp"
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
