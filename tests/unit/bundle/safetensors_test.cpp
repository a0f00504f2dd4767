#include "core/bundle/safetensors.hpp"

#include "core/bundle/safetensors_header.hpp"
#include "tests/unit/bundle/files.hpp"

namespace {

using namespace tare;
using namespace tare::testing;

std::string header_refusal(std::string_view json) { return parse_safetensors_header(json, "x").status().message(); }
std::string file_refusal(std::string_view bytes) {
  Folder folder;
  const std::string path = folder.write("x", bytes);
  auto source = open_safetensors(std::span(&path, 1));
  const std::string message = source.status().message();
  return message.starts_with(path) ? "x" + message.substr(path.size()) : message;
}
std::string one(std::string_view body) { return "{\"a\": " + std::string(body) + "}"; }

TEST_CASE("tensors of every readable type come back by rows") {
  Folder folder;
  const std::vector<float> numbers = {1, -2, 0.5f, 3, 1.00390625f, 0};
  const std::vector<uint16_t> halves = {0x3f80, 0xc000, 0x3f00, 0x4040};  // 1, -2, 0.5, 3 in BF16
  const std::vector<int64_t> ids = {-7};
  const std::string path = folder.write(
      "x",
      safetensors(R"({"__metadata__": {"format": "pt"}, "f": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]},
             "b": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [24, 32]},
             "i": {"dtype": "I64", "shape": [], "data_offsets": [32, 40]},
             "e": {"dtype": "F16", "shape": [0, 4], "data_offsets": [40, 40]},
             "q": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [40, 44]}})",
                  bytes_of(numbers) + bytes_of(halves) + bytes_of(ids) + "abcd"));
  auto opened = open_safetensors(std::span(&path, 1));
  REQUIRE_MESSAGE(opened.ok(), opened.status().message());
  const WeightSource& source = **opened;
  REQUIRE(source.tensors().size() == 5);
  CHECK(source.find("none") == nullptr);
  CHECK(source.nearest("ff") == "f");
  const StoredTensor& f = *source.find("f");
  CHECK(f.shape == std::vector<int64_t>{3, 2});
  CHECK(f.dtype == DType::f32);
  CHECK(f.bytes() == 24);
  std::vector<float> rows(4);
  REQUIRE(source.read(f, 1, 3, DType::f32, std::as_writable_bytes(std::span(rows))).ok());
  CHECK(rows == std::vector<float>{0.5f, 3, 1.00390625f, 0});
  std::vector<uint16_t> rounded(2);
  REQUIRE(source.read(f, 2, 3, DType::bf16, std::as_writable_bytes(std::span(rounded))).ok());
  CHECK(rounded == std::vector<uint16_t>{0x3f80, 0});  // 1 + 2^-8 is a tie: to even
  rows.assign(2, 0);
  REQUIRE(source.read(*source.find("b"), 1, 2, DType::f32, std::as_writable_bytes(std::span(rows))).ok());
  CHECK(rows == std::vector<float>{0.5f, 3});
  int64_t id = 0;
  REQUIRE(source.read(*source.find("i"), 0, 1, DType::i64, std::as_writable_bytes(std::span(&id, 1))).ok());
  CHECK(id == -7);
  CHECK(source.read(*source.find("e"), 0, 0, DType::f16, {}).ok());
  const Status unreadable = source.read(*source.find("q"), 0, 4, DType::u8, {});
  CHECK(unreadable.message() == "tensor 'q' F8_E4M3 [4] in x is stored as F8_E4M3, which cannot be read");
  CHECK_FALSE(source.read(*source.find("i"), 0, 1, DType::f32, std::as_writable_bytes(std::span(rows).first(1))).ok());
  CHECK_FALSE(source.read(f, 0, 4, DType::f32, {}).ok());
  CHECK_FALSE(source.read(f, 0, 1, DType::f32, {}).ok());
  if (f.plain) CHECK(std::memcmp(source.mapped(f), numbers.data(), 24) == 0);
  CHECK(*sha256_of(source, *source.find("i")) == "9db26f8ea010babf6afb228a7b257afe54c28f98cd0b246a2f16dc14d16336d7");
}

TEST_CASE("hostile headers are refused in one sentence") {
  CHECK(header_refusal("[]") == "x header:1: is a list, expected an object of tensors");
  CHECK(header_refusal("{\"a\": 1}") == "x header:1: tensor 'a' is a number, expected an object");
  CHECK(header_refusal(one("{}")) == "x header:1: tensor 'a' has no 'dtype'");
  CHECK(header_refusal(one(R"({"dtype": "F32", "shape": [1]})")) == "x header:1: tensor 'a' has no 'data_offsets'");
  CHECK(header_refusal(one(R"({"dtype": "F31", "shape": [1], "data_offsets": [0, 4]})")) ==
        "x: tensor 'a' has the unknown dtype 'F31'");
  CHECK(header_refusal(one(R"({"dtype": 3, "shape": [1], "data_offsets": [0, 4]})")) ==
        "x header:1: tensor 'a' has a number as dtype, expected a string");
  CHECK(header_refusal(one(R"({"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]})")) ==
        "x header:1: tensor 'a' has -1 in shape, expected a whole number from 0 to 2^63 - 1");
  CHECK(header_refusal(one(R"({"dtype": "F32", "shape": [1.5], "data_offsets": [0, 4]})")).find("1.5") !=
        std::string::npos);
  CHECK(
      header_refusal(one(R"({"dtype": "F32", "shape": [[1]], "data_offsets": [0, 4]})")).find("a list in its shape") !=
      std::string::npos);
  CHECK(header_refusal(one(R"({"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 4]})")) ==
        "x: tensor 'a' has a shape whose product is beyond 2^57");
  CHECK(header_refusal(one(
            R"({"dtype": "F32", "shape": [0, 9223372036854775807, 9223372036854775807], "data_offsets": [0, 0]})")) ==
        "x: tensor 'a' has a shape whose product is beyond 2^57");
  CHECK(header_refusal(one(R"({"dtype": "F32", "shape": [1], "data_offsets": [0, 99999999999999999999]})"))
            .find("99999999999999999999") != std::string::npos);
  CHECK(header_refusal(one(R"({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]})")) ==
        "x: tensor 'a' has 4 bytes, its dtype and shape need 8");
  CHECK(header_refusal(one(R"({"dtype": "F32", "shape": [1], "data_offsets": [4, 0]})")) ==
        "x: tensor 'a' ends at 0, before it begins at 4");
  CHECK(header_refusal(one(R"({"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]})")) ==
        "x header:1: tensor 'a' has 3 data_offsets, expected 2");
  CHECK(header_refusal(one(R"({"dtype": "F4", "shape": [3], "data_offsets": [0, 2]})")) ==
        "x: tensor 'a' does not fill whole bytes");
  CHECK(header_refusal(one(R"({"dtype": "U8", "shape": [1], "data_offsets": [0, 1], "strides": [1]})")) ==
        "x header:1: tensor 'a' has a field 'strides', expected dtype, shape and data_offsets");
  CHECK(header_refusal(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                           "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}})") ==
        "x: tensors 'a' and 'b' overlap at byte 2");
  CHECK(header_refusal(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                           "b": {"dtype": "U8", "shape": [4], "data_offsets": [6, 10]}})") ==
        "x: 2 bytes before tensor 'b' belong to none");
  CHECK(header_refusal(R"({"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                           "a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}})") ==
        "x header:2: the name 'a' occurs twice");
  CHECK(header_refusal("{\"__metadata__\": {\"a\": 1}}") ==
        "x header:1: __metadata__ has a number for 'a', expected a string");
  CHECK(header_refusal("{\"__metadata__\": null}").empty());
  CHECK(header_refusal("{\"a\": {\"shape\": [[[[") ==
        "x header:1: tensor 'a' has a list in its shape or data_offsets, expected a list of whole numbers");
  CHECK(header_refusal("{\"a\n\x1b[2J\": 3}").find('\x1b') == std::string::npos);
}

TEST_CASE("hostile files are refused in one sentence") {
  CHECK(file_refusal("abc").starts_with("x: has 3 bytes, a safetensors file begins with 8"));
  CHECK(file_refusal(bytes_of<uint64_t>(uint64_t{1} << 60) + "{}")
            .starts_with("x: announces a header of 1152921504606846976 bytes"));
  CHECK(file_refusal(bytes_of<uint64_t>(50) + "{}") == "x: is truncated: it has 10 bytes, its header alone needs 58");
  const std::string header = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  CHECK(file_refusal(safetensors(header, "abc")) == "x: is truncated: it has " + std::to_string(8 + header.size() + 3) +
                                                        " bytes, its header describes " +
                                                        std::to_string(8 + header.size() + 4));
  CHECK(file_refusal(safetensors(header, "abcde")).find("its header describes only") != std::string::npos);
  CHECK(file_refusal(safetensors(header, "abcd")).empty());
  const std::string whole = safetensors(header, "abcd");
  for (size_t length = 0; length < whole.size(); ++length) CHECK_FALSE(file_refusal(whole.substr(0, length)).empty());
}

TEST_CASE("an index whose shards do not fit it is refused") {
  Folder folder;
  const auto shard = [](std::string_view name) {
    return safetensors("{\"" + std::string(name) + R"(": {"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd");
  };
  folder.write("s1", shard("a"));
  folder.write("s2", shard("b"));
  const auto open = [&](std::string_view index) {
    const std::string path = folder.write("model.safetensors.index.json", index);
    auto source = open_safetensors_index(path);
    std::string message = source.status().message();
    for (size_t at; (at = message.find(folder.path)) != std::string::npos;)
      message.replace(at, folder.path.size(), "DIR");
    return message;
  };
  CHECK(open(R"({"metadata": {"total_size": 8, "x": null}, "weight_map": {"a": "s1", "b": "s2"}})").empty());
  CHECK(open(R"({"weight_map": {"a": "s1", "c": "s3"}})") ==
        "shard s3 is missing in DIR; model.safetensors.index.json names it, for 'c' among others");
  CHECK(open(R"({"weight_map": {"a": "s2", "b": "s2"}})") ==
        "DIR/model.safetensors.index.json: tensor 'a' is said to be in s2, which does not have it");
  CHECK(open(R"({"weight_map": {"a": "s2", "b": "s1"}})") ==
        "DIR/model.safetensors.index.json: tensor 'a' is said to be in s2, found in s1");
  CHECK(open(R"({"weight_map": {"a": "../s1"}})").find("expected the name of a file beside the index") !=
        std::string::npos);
  CHECK(open(R"({"weight_map": {"a": 1}})").find("'a' has no shard's name") != std::string::npos);
  CHECK(open(R"({"weight_map": 1})") == "DIR/model.safetensors.index.json: has no object 'weight_map'");
  CHECK(open("[]") == "DIR/model.safetensors.index.json:1: is a list, expected an object");
  folder.write("s2", shard("a"));
  CHECK(open(R"({"weight_map": {"a": "s1", "b": "s2"}})") == "tensor 'a' is in both DIR/s1 and DIR/s2");
  folder.write("s2", shard("b").substr(0, 30));
  CHECK(open(R"({"weight_map": {"a": "s1", "b": "s2"}})").starts_with("DIR/s2: is truncated: it has 30 bytes"));
}

TEST_CASE("a shard that is cut after it was opened gives a status, not a signal") {
  Folder folder;
  const std::string path = folder.write(
      "x", safetensors(R"({"a":{"dtype":"U8","shape":[100000],"data_offsets":[0,100000]}})", std::string(100000, 'z')));
  auto source = open_safetensors(std::span(&path, 1));
  REQUIRE(source.ok());
  std::filesystem::resize_file(path, 1000);
  std::vector<std::byte> out(100000);
  const Status status = (*source)->read((*source)->tensors()[0], 0, 100000, DType::u8, out);
  CHECK(status.code() == Code::corrupt);
  CHECK(status.message().find("ends at byte 1000") != std::string::npos);
}

}  // namespace
