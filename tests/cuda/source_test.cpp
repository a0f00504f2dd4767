// Bundles of kernel sources, their include closure and its hash.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "jit/device_bundle.hpp"
#include "jit/source/bundle.hpp"

using namespace tare::jit;

namespace {
constexpr SourceFile kFiles[] = {
    {"a/main.cuh", "#pragma once\n#include <cstdint>\n  #  include \"a/part.cuh\"\n"},
    {"a/part.cuh", "#include \"jit/cuh/warp.cuh\"\nint x;\n"},
    {"a/broken.cuh", "#include \"a/missing.cuh\"\n"},
};
constexpr SourceBundle kBundle{"test", kFiles};
}  // namespace

TEST_CASE("the closure holds what is included directly and not, the integer shim too") {
  const SourceSet set({device_bundle(), kBundle});
  const auto closure = set.closure("a/main.cuh");
  REQUIRE(closure.ok());
  CHECK(closure->paths == std::vector<std::string>{"a/main.cuh", "a/part.cuh", "cstdint", "jit/cuh/warp.cuh"});
  CHECK(closure->hash.size() == 32);
}

TEST_CASE("a missing include names who wants it and where was looked") {
  const auto closure = SourceSet({device_bundle(), kBundle}).closure("a/broken.cuh");
  REQUIRE_FALSE(closure.ok());
  CHECK(closure.status().message() ==
        "included by a/broken.cuh: kernel source \"a/missing.cuh\" is in none of the bundles device, test");
}

TEST_CASE("the source tree wins over the bundle, and the hash follows the text") {
  const auto tree = std::filesystem::temp_directory_path() / "tare_source_test";
  std::filesystem::create_directories(tree / "a");
  std::ofstream(tree / "a/part.cuh") << "#include \"jit/cuh/warp.cuh\"\nint y;\n";
  const auto embedded = SourceSet({device_bundle(), kBundle}).closure("a/main.cuh");
  const auto edited = SourceSet({device_bundle(), kBundle}, tree.string()).closure("a/main.cuh");
  REQUIRE(embedded.ok());
  REQUIRE(edited.ok());
  CHECK(embedded->hash != edited->hash);
  CHECK(edited->texts[1].find("int y") != std::string::npos);
  std::filesystem::remove_all(tree);
}
