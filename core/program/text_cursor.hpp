// A cursor over one line of Program text. The first thing that is not as expected is kept as a sentence; whatever is
// asked after that answers with zeros, so that callers check once a line. Private to core/program.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/api/attributes.hpp"
#include "core/api/dtype.hpp"
#include "core/api/shape.hpp"

namespace tare {

class TextCursor {
 public:
  explicit TextCursor(std::string_view line) : rest_(line) {}

  bool ok() const noexcept { return mistake_.empty(); }
  const std::string& mistake() const noexcept { return mistake_; }
  // "expected X, found Y" where Y is what stands here.
  void expected(std::string_view what);
  void fail(std::string sentence) {
    if (ok()) mistake_ = std::move(sentence);
  }

  bool at_end() const noexcept { return rest_.empty(); }
  bool peek(std::string_view token) const noexcept { return ok() && rest_.starts_with(token); }
  bool take(std::string_view token);    // true when it stood here; spaces behind it are skipped
  void expect(std::string_view token);  // as take, or a mistake
  void end();                           // nothing may be left

  std::string word(std::string_view what);  // letters, digits, '_', '.', '-', '/'
  std::string quoted(std::string_view what, size_t max_bytes = 512);
  int64_t integer(std::string_view what, int64_t low, int64_t high);
  float real(std::string_view what);  // finite
  // `sign` and a number in [0, count): "%12".
  int32_t index(char sign, size_t count, std::string_view of);
  // Exactly `sign` and `next`.
  void next_index(char sign, size_t next);
  DType dtype();
  Shape shape();
  StateKind state_kind();
  Attributes attributes(size_t tables);

 private:
  AttributeValue attribute_value(size_t tables);
  void skip_spaces() noexcept;
  std::string_view number_here() const noexcept;

  std::string_view rest_;
  std::string mistake_;
};

}  // namespace tare
