// ApiKeys: who may ask. Keeps SHA-256 digests, never the keys; a check compares with all of them, whatever matched, so
// that its time says nothing. [any thread]
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tare::server {

class ApiKeys {
 public:
  explicit ApiKeys(const std::vector<std::string>& keys);
  bool empty() const noexcept { return digests_.empty(); }
  // `authorization`: the header's value, "Bearer KEY". True when no keys are set.
  bool accept(std::string_view authorization) const noexcept;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest(std::string_view key) noexcept;
  std::vector<Digest> digests_;
};

}  // namespace tare::server
