// SHA-256 against OpenSSL's: every length about a block's end, in pieces, and two messages at once.
#include "core/base/sha256.hpp"

#include <doctest/doctest.h>
#include <openssl/evp.h>

#include <string>

namespace {

using namespace tare;

std::string wanted(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  REQUIRE(EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) == 1);
  std::string out;
  for (unsigned int i = 0; i < length; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}
std::string message(size_t bytes, uint64_t state) {
  std::string out(bytes, 0);
  for (char& c : out) state = state * 6364136223846793005u + 1442695040888963407u, c = static_cast<char>(state >> 56);
  return out;
}
std::span<const std::byte> part(const std::string& s, size_t begin, size_t bytes) {
  return std::as_bytes(std::span(s)).subspan(begin, bytes);
}

TEST_CASE("messages of every length hash as OpenSSL has it, whole and in pieces") {
  for (size_t bytes = 0; bytes <= 260; ++bytes) {
    const std::string m = message(bytes, bytes + 1);
    CHECK(sha256(part(m, 0, bytes)) == wanted(m));
    for (size_t step : {size_t{1}, size_t{55}, size_t{63}, size_t{64}, size_t{100}}) {
      Sha256 hash;
      for (size_t at = 0; at < bytes; at += step) hash.add(part(m, at, std::min(step, bytes - at)));
      CHECK(hash.finish() == wanted(m));
    }
  }
}

TEST_CASE("two messages at once hash as each alone, wherever their pieces end") {
  for (size_t bytes : {size_t{64}, size_t{640}, size_t{1000}, size_t{4096}})
    for (size_t other : {size_t{0}, size_t{64}, size_t{999}, size_t{4096}})
      for (size_t step : {size_t{64}, size_t{70}, size_t{512}}) {
        const std::string a = message(bytes, bytes), b = message(other, other + 7);
        Sha256 first, second;
        for (size_t at = 0; at < std::max(bytes, other); at += step) {
          const size_t n = at < bytes ? std::min(step, bytes - at) : 0, k = at < other ? std::min(step, other - at) : 0;
          Sha256::add_both(first, part(a, std::min(at, bytes), n), second, part(b, std::min(at, other), k));
        }
        CHECK(first.finish() == wanted(a));
        CHECK(second.finish() == wanted(b));
      }
}

}  // namespace
