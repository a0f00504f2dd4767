#include <doctest/doctest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>

#include "tests/golden/support/golden.hpp"
#include "tests/golden/support/safetensors.hpp"

namespace fs = std::filesystem;
using namespace tare::golden;

namespace {

const fs::path kModels = fs::path(TARE_SOURCE_DIR) / "tests/golden/models";

std::string sha256(const std::string& bytes) {
  unsigned char digest[32];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned int i = 0; i < size; ++i) {
    hex += "0123456789abcdef"[digest[i] >> 4];
    hex += "0123456789abcdef"[digest[i] & 15];
  }
  return hex;
}

boost::json::value parse(const fs::path& file) { return boost::json::parse(read_file(file).value()); }

}  // namespace

TEST_CASE("every committed case is whole and its weights are those that made its logits") {
  const auto names = case_names(kModels);
  CHECK(names.size() >= 30);
  for (const std::string& name : names) {
    CAPTURE(name);
    const auto golden = read_case(kModels / name);
    REQUIRE_MESSAGE(golden.ok(), golden.status().message());
    CHECK(golden->prompt.size() == 40);
    CHECK(golden->decode.size() == 8);
    CHECK(golden->vocab == (name == "tiny-chat" ? 512 : 320));
    CHECK(golden->logits_bf16.empty() == (golden->weights_dtype != "bfloat16"));
    const auto record = parse(kModels / name / "golden.json");
    for (const auto& [file, hash] : record.at("weights_sha256").as_object()) {
      CHECK(sha256(read_file(kModels / name / std::string(file)).value()) == hash.as_string());
    }
    if (fs::exists(kModels / name / "twins.json")) {
      const auto twins = parse(kModels / name / "twins.json");
      for (const auto& [file, twin] : twins.at("files").as_object()) {
        CHECK(sha256(read_file(kModels / name / std::string(file)).value()) == twin.at("sha256").as_string());
      }
    }
  }
}

TEST_CASE("greedy decode tokens are the first choices of the golden rows") {
  for (const std::string& name : case_names(kModels)) {
    CAPTURE(name);
    const auto golden = read_case(kModels / name);
    REQUIRE(golden.ok());
    if (!golden->decode_is_greedy) continue;
    for (size_t step = 0; step < golden->decode.size(); ++step) {
      const auto row = golden->logits.begin() + static_cast<int64_t>(golden->prompt.size() - 1 + step) * golden->vocab;
      CHECK(std::max_element(row, row + golden->vocab) - row == golden->decode[step]);
    }
  }
}

TEST_CASE("Transformers' BF16 run passes the comparison that the BF16 tests use") {
  for (const std::string& name : case_names(kModels)) {
    CAPTURE(name);
    const auto golden = read_case(kModels / name);
    REQUIRE(golden.ok());
    if (golden->logits_bf16.empty()) continue;
    const auto comparison = compare(golden->logits_bf16, golden->logits, golden->vocab);
    CHECK_MESSAGE(comparison.distance < 2e-2, comparison.first_mismatch);
    CHECK(comparison.distance > 1e-4);
    CHECK(comparison.unexplained == 0);
  }
}

TEST_CASE("compare sees a shifted row, a flip without reason, a NaN and a wrong size") {
  const std::vector<float> golden = {1, 5, 2, 8, 0, 1};
  CHECK(compare(golden, golden, 3).distance == 0);
  std::vector<float> found = golden;
  found[1] = 5.8F;
  CHECK(compare(found, golden, 3).distance == doctest::Approx(0.1));
  CHECK(compare(found, golden, 3).flips == 0);
  found = {4.9F, 4.5F, 2, 8, 0, 1};  // the row moved by 3.9 and the gap is 4: explained
  CHECK(compare(found, golden, 3).flips == 1);
  CHECK(compare(found, golden, 3).unexplained == 0);
  found = golden;
  found[4] = NAN;
  CHECK(std::isinf(compare(found, golden, 3).distance));
  found.pop_back();
  CHECK(std::isinf(compare(found, golden, 3).distance));
}

TEST_CASE("a widened folder holds the same values in F32") {
  for (const char* name : {"llama-gqa", "llama-sharded", "llama-f16"}) {
    CAPTURE(name);
    const fs::path target = fs::path(TARE_BINARY_DIR) / "tests/golden-support" / name;
    const auto status = widen_to_f32(kModels / name, target);
    REQUIRE_MESSAGE(status.ok(), status.message());
    CHECK(parse(target / "config.json").at("torch_dtype").as_string() == "float32");
    for (const auto& entry : fs::directory_iterator(kModels / name)) {
      if (!entry.path().filename().string().starts_with("model") || entry.path().extension() != ".safetensors")
        continue;
      const auto before = read_safetensors(entry.path());
      const auto after = read_safetensors(target / entry.path().filename());
      REQUIRE(before.ok());
      REQUIRE(after.ok());
      REQUIRE(before->size() == after->size());
      for (size_t i = 0; i < before->size(); ++i) {
        CHECK((*after)[i].dtype == "F32");
        CHECK((*after)[i].name == (*before)[i].name);
        CHECK((*after)[i].shape == (*before)[i].shape);
        CHECK(as_f32((*before)[i]).value() == as_f32((*after)[i]).value());
      }
    }
  }
}
