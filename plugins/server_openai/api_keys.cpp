#include "plugins/server_openai/api_keys.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cctype>

namespace tare::server {

ApiKeys::Digest ApiKeys::digest(std::string_view key) noexcept {
  Digest out{};
  unsigned int bytes = 0;
  EVP_Digest(key.data(), key.size(), out.data(), &bytes, EVP_sha256(), nullptr);
  return out;
}

ApiKeys::ApiKeys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) digests_.push_back(digest(key));
}

bool ApiKeys::accept(std::string_view authorization) const noexcept {
  if (digests_.empty()) return true;
  constexpr std::string_view kScheme = "bearer ";
  bool bearer = authorization.size() > kScheme.size();
  for (size_t i = 0; bearer && i < kScheme.size(); ++i)
    bearer = std::tolower(static_cast<unsigned char>(authorization[i])) == kScheme[i];
  if (bearer) authorization.remove_prefix(kScheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  const Digest asked = digest(authorization);
  int matches = 0;
  for (const Digest& known : digests_) matches |= CRYPTO_memcmp(known.data(), asked.data(), known.size()) == 0 ? 1 : 0;
  // A failed digest is all zero, as no key's is.
  return bearer && matches != 0;
}

}  // namespace tare::server
