#include "autotune/store/attribute_text.hpp"

#include <cctype>
#include <charconv>

#include "core/base/printable.hpp"

namespace tare {
namespace {

class Cursor {
 public:
  explicit Cursor(std::string_view in) : rest_(in) {}
  bool take(char c) {
    blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool at_end() {
    blanks();
    return rest_.empty();
  }
  std::string found() const { return rest_.empty() ? "the end" : "'" + printable(rest_, 24) + "'"; }
  std::string_view word() {
    blanks();
    size_t n = 0;
    while (n < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[n])) != 0 || is_of_word(rest_[n]))) ++n;
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }
  // Behind the opening quote.
  bool quoted(std::string& out) {
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return true;
      if (c == '\\') {
        if (rest_.empty()) return false;
        c = rest_.front() == 'n' ? '\n' : rest_.front();
        rest_.remove_prefix(1);
      }
      out += c;
    }
    return false;
  }

 private:
  static bool is_of_word(char c) { return c == '_' || c == '.' || c == '-' || c == '+'; }
  void blanks() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  std::string_view rest_;
};

template <class T>
bool number(std::string_view word, T& out) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), out);
  return error == std::errc() && end == word.data() + word.size();
}

Result<AttributeValue> value_of(std::string_view word) {
  if (word == "true") return AttributeValue(true);
  if (word == "false") return AttributeValue(false);
  int64_t integer = 0;
  if (number(word, integer)) return AttributeValue(integer);
  const bool is_number = word.find_first_of("0123456789") < 2;
  float real = 0;
  if (is_number && number(word, real)) return AttributeValue(real);
  if (word == "inf" || word == "-inf" || word == "nan" || word == "-nan") {
    (void)number(word, real);
    return AttributeValue(real);
  }
  if (is_number && std::isalpha(static_cast<unsigned char>(word[0])) == 0)
    return invalid("'", printable(word, 24), "' is no number");
  return AttributeValue(Symbol{std::string(word)});
}

}  // namespace

Result<Attributes> parse_attributes(std::string_view printed) {
  Cursor c(printed);
  Attributes out;
  if (!c.take('{')) return invalid("found ", c.found(), ", expected '{'");
  for (bool first = true; !c.take('}'); first = false) {
    if (!first && !c.take(',')) return invalid("found ", c.found(), ", expected ',' or '}'");
    const std::string_view name = c.word();
    if (name.empty()) return invalid("found ", c.found(), ", expected a name");
    if (!c.take('=')) return invalid("found ", c.found(), ", expected '=' behind '", printable(name, 40), "'");
    AttributeValue value;
    if (c.take('"')) {
      std::string string;
      if (!c.quoted(string)) return invalid("a text without its closing quote");
      value = std::move(string);
    } else if (c.take('@')) {
      Constant constant;
      const std::string_view word = c.word();
      if (!number(word, constant.id)) return invalid("'@", printable(word, 24), "' names no table");
      value = constant;
    } else {
      const std::string_view word = c.word();
      if (word.empty()) return invalid("found ", c.found(), ", expected a value of '", printable(name, 40), "'");
      TARE_ASSIGN_OR_RETURN(value, value_of(word));
    }
    out.push_back({std::string(name), std::move(value)});
  }
  if (!c.at_end()) return invalid("found ", c.found(), " behind '}'");
  return out;
}

}  // namespace tare
