// Refusal: why a plugin is not used, as parts and as one sentence. Plain value. [any thread]
#pragma once
#include <optional>
#include <string>
#include <utility>

#include "core/api/status.hpp"

namespace tare {

struct Refusal {
  std::string file, field;    // field: what was looked at ("build_fingerprint", "segment 2", "kernel id")
  std::string found, wanted;  // complete "FIELD is FOUND, expected WANTED"

  // One line, whatever a plugin or the dynamic loader put into the parts.
  std::string sentence() const {
    std::string out = text(file, ": ", field, " is ", found, ", expected ", wanted);
    for (char& c : out)
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    return out;
  }
  Status status(Code code = Code::unsupported) const { return {code, sentence()}; }
};

// Either a value or the Refusal that says why there is none.
template <class T>
class Accepted {
 public:
  Accepted(T value) : value_(std::move(value)) {}
  Accepted(Refusal refusal) : refusal_(std::move(refusal)) {}
  bool ok() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  const Refusal& refusal() const noexcept { return refusal_; }

 private:
  std::optional<T> value_;
  Refusal refusal_;
};

}  // namespace tare
