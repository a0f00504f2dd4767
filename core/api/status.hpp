// Status and Result<T>: expected failures as values. A message is one sentence that names the thing, what was found and
// what was expected. Thread rule: plain values, [any thread].
#pragma once
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace tare {

enum class Code : uint8_t {
  ok,
  invalid,      // the input is wrong: the caller can mend it
  not_found,    // the named thing does not exist
  unsupported,  // understood, but this build or device cannot do it
  exhausted,    // a bound was hit: memory, queue, connections
  unavailable,  // not now: try again
  cancelled,    // the caller asked to stop
  corrupt,      // stored data contradicts itself
  internal,     // our own mistake
};

constexpr std::string_view name(Code code) noexcept {
  constexpr std::string_view names[] = {"ok",          "invalid",   "not found", "unsupported", "exhausted",
                                        "unavailable", "cancelled", "corrupt",   "internal"};
  return names[static_cast<size_t>(code)];
}

class [[nodiscard]] Status {
 public:
  Status() noexcept = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  bool ok() const noexcept { return code_ == Code::ok; }
  explicit operator bool() const noexcept { return ok(); }
  Code code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  // The same failure with `context` and ": " in front of it; ok stays ok.
  Status in(std::string_view context) && {
    if (!ok()) message_ = std::string(context) + ": " + message_;
    return std::move(*this);
  }

 private:
  Code code_ = Code::ok;
  std::string message_;
};

// Puts anything streamable in a row. (g++ 12 has no std::format.)
template <class... A>
std::string text(const A&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}
template <class... A>
Status failure(Code code, const A&... parts) {
  return {code, text(parts...)};
}
template <class... A>
Status invalid(const A&... parts) {
  return {Code::invalid, text(parts...)};
}

// A value, or the Status that says why there is none (never an ok Status).
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) {
    if (status_.ok()) status_ = Status(Code::internal, "a Result was made from an ok Status without a value");
  }
  template <class U>
    requires(std::is_convertible_v<U &&, T> && !std::is_same_v<std::decay_t<U>, T> &&
             !std::is_same_v<std::decay_t<U>, Status> && !std::is_same_v<std::decay_t<U>, Result>)
  Result(U&& value) : value_(std::forward<U>(value)) {}
  bool ok() const noexcept { return value_.has_value(); }
  explicit operator bool() const noexcept { return ok(); }
  const Status& status() const& noexcept { return status_; }
  Status status() && noexcept { return std::move(status_); }
  T& value() & { return *value_; }
  const T& value() const& { return *value_; }
  T&& value() && { return std::move(*value_); }
  T& operator*() & { return *value_; }
  const T& operator*() const& { return *value_; }
  T&& operator*() && { return std::move(*value_); }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace tare

// Leaves the function with the failure of `expression`, a Status.
#define TARE_RETURN_IF_ERROR(expression)                                                     \
  do {                                                                                       \
    if (::tare::Status tare_status_ = (expression); !tare_status_.ok()) return tare_status_; \
  } while (false)
#define TARE_CONCAT_INNER_(a, b) a##b
#define TARE_CONCAT_(a, b) TARE_CONCAT_INNER_(a, b)
// TARE_ASSIGN_OR_RETURN(auto x, make_x()): x, or leaves the function with the failure.
#define TARE_ASSIGN_OR_RETURN(declaration, expression)                                                             \
  auto TARE_CONCAT_(tare_result_, __LINE__) = (expression);                                                        \
  if (!TARE_CONCAT_(tare_result_, __LINE__).ok()) return std::move(TARE_CONCAT_(tare_result_, __LINE__)).status(); \
  declaration = std::move(TARE_CONCAT_(tare_result_, __LINE__)).value()
