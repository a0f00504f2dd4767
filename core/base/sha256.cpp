#include "core/base/sha256.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <vector>

#include "core/base/file.hpp"

namespace tare {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) { EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr); }
Sha256::~Sha256() = default;
void Sha256::add(std::span<const std::byte> bytes) { EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()); }
std::string Sha256::finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(state_->context, digest, &length);
  std::string out;
  for (unsigned int i = 0; i < length; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
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
