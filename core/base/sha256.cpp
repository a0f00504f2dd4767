#include "core/base/sha256.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <vector>

#include "core/base/file.hpp"
#include "core/base/sha256_blocks.hpp"

namespace tare {

// OpenSSL's, or our own where the processor has the instructions: two messages at once are faster than one.
struct Sha256::State {
  EVP_MD_CTX* context = nullptr;  // null: our own
  Sha256Words words = kSha256Start;
  uint64_t bytes = 0;
  std::array<std::byte, 64> rest{};  // bytes % 64 of them
  size_t rested() const { return bytes % 64; }
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (has_sha_instructions()) return;
  state_->context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr);
}
Sha256::~Sha256() = default;
void Sha256::add(std::span<const std::byte> bytes) {
  State& s = *state_;
  if (s.context != nullptr) {
    EVP_DigestUpdate(s.context, bytes.data(), bytes.size());
    return;
  }
  if (const size_t rested = s.rested(); rested > 0) {
    const auto part = bytes.first(std::min(bytes.size(), 64 - rested));
    std::copy(part.begin(), part.end(), s.rest.begin() + static_cast<std::ptrdiff_t>(rested));
    s.bytes += part.size(), bytes = bytes.subspan(part.size());
    if (s.rested() > 0) return;
    sha256_blocks(&s.words, s.rest.data(), 1);
  }
  sha256_blocks(&s.words, bytes.data(), bytes.size() / 64);
  const auto rest = bytes.subspan(bytes.size() / 64 * 64);
  std::copy(rest.begin(), rest.end(), s.rest.begin());
  s.bytes += bytes.size();
}
void Sha256::add_both(Sha256& a, std::span<const std::byte> of_a, Sha256& b, std::span<const std::byte> of_b) {
  State &s = *a.state_, &t = *b.state_;
  if (s.context == nullptr && s.rested() == 0 && t.rested() == 0) {
    const size_t blocks = std::min(of_a.size(), of_b.size()) / 64;
    sha256_blocks_of_two(&s.words, of_a.data(), &t.words, of_b.data(), blocks);
    s.bytes += blocks * 64, t.bytes += blocks * 64;
    of_a = of_a.subspan(blocks * 64), of_b = of_b.subspan(blocks * 64);
  }
  a.add(of_a);
  b.add(of_b);
}
std::string Sha256::finish() {
  State& s = *state_;
  std::array<uint8_t, 32> digest;
  if (s.context != nullptr) {
    EVP_DigestFinal_ex(s.context, digest.data(), nullptr);
  } else {
    // A one bit, zeros, and the number of bits as the last 8 bytes of a block (FIPS 180-4, 5.1.1).
    std::array<std::byte, 128> end{};
    std::copy_n(s.rest.begin(), s.rested(), end.begin());
    end[s.rested()] = std::byte{0x80};
    const size_t blocks = s.rested() < 56 ? 1 : 2;
    for (size_t i = 0; i < 8; ++i) end[blocks * 64 - 1 - i] = static_cast<std::byte>(s.bytes * 8 >> 8 * i);
    sha256_blocks(&s.words, end.data(), blocks);
    const auto words = in_order(s.words);
    for (size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<uint8_t>(words[i / 4] >> (24 - i % 4 * 8));
  }
  std::string out;
  for (const uint8_t byte : digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

std::string sha256(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.finish();
}

Result<std::string> sha256_of_file(const std::string& path) {
  TARE_ASSIGN_OR_RETURN(const auto file, File::open(path));
  Sha256 hash;
  std::vector<std::byte> piece(static_cast<size_t>(std::min<int64_t>(file->bytes(), 4 << 20)));
  for (int64_t at = 0; at < file->bytes(); at += static_cast<int64_t>(piece.size())) {
    const auto part = std::span(piece).first(
        static_cast<size_t>(std::min<int64_t>(file->bytes() - at, static_cast<int64_t>(piece.size()))));
    TARE_RETURN_IF_ERROR(file->read(at, part));
    hash.add(part);
  }
  return hash.finish();
}

}  // namespace tare
