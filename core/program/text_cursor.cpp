#include "core/program/text_cursor.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/program/program.hpp"

namespace tare {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-' ||
         c == '/';
}
constexpr size_t kMaxDimensions = 8, kMaxAttributes = 64;

}  // namespace

void TextCursor::expected(std::string_view what) {
  std::string found;
  for (char c : rest_.substr(0, 24)) found += c >= ' ' && c < 127 ? c : '?';
  fail(text("expected ", what, ", found ", rest_.empty() ? "the end of the line" : "'" + found + "'"));
}
void TextCursor::skip_spaces() noexcept {
  while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
}
bool TextCursor::take(std::string_view token) {
  if (!peek(token)) return false;
  rest_.remove_prefix(token.size());
  skip_spaces();
  return true;
}
void TextCursor::expect(std::string_view token) {
  if (ok() && !take(token)) expected(text("'", token, "'"));
}
void TextCursor::end() {
  if (ok() && !at_end()) expected("the end of the line");
}

std::string TextCursor::word(std::string_view what) {
  const size_t size = static_cast<size_t>(std::ranges::find_if_not(rest_, is_word) - rest_.begin());
  if (!ok()) return {};
  if (size == 0 || size > 128) return expected(what), std::string();
  std::string out(rest_.substr(0, size));
  take(out);
  return out;
}

std::string TextCursor::quoted(std::string_view what, size_t max_bytes) {
  if (!peek("\"")) return expected(text(what, " in quotes")), std::string();
  std::string out;
  for (size_t i = 1; i < rest_.size() && out.size() <= max_bytes; ++i) {
    if (rest_[i] == '"') {
      rest_.remove_prefix(i + 1);
      skip_spaces();
      return out;
    }
    if (rest_[i] == '\\') {
      ++i;
      if (i >= rest_.size() || (rest_[i] != '"' && rest_[i] != '\\' && rest_[i] != 'n')) {
        fail(text("expected \\\", \\\\ or \\n in ", what));
        return {};
      }
      out += rest_[i] == 'n' ? '\n' : rest_[i];
    } else {
      out += rest_[i];
    }
  }
  fail(out.size() > max_bytes ? text("expected at most ", max_bytes, " bytes in ", what)
                              : text("expected a closing quote after ", what));
  return {};
}

std::string_view TextCursor::number_here() const noexcept {
  size_t size = 0;
  while (size < rest_.size() && (is_word(rest_[size]) || rest_[size] == '+')) ++size;
  return rest_.substr(0, size);
}

int64_t TextCursor::integer(std::string_view what, int64_t low, int64_t high) {
  if (!ok()) return low;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  const auto size = static_cast<size_t>(end - rest_.data());
  // One way of writing each number: no leading zero, no -0.
  const bool plain = error == std::errc() && std::to_string(value).size() == size;
  if (!plain || value < low || value > high) return expected(text(what, " from ", low, " to ", high)), low;
  rest_.remove_prefix(size);
  skip_spaces();
  return value;
}

float TextCursor::real(std::string_view what) {
  if (!ok()) return 0;
  const std::string_view number = number_here();
  float value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(value))
    return expected(text(what, ", a finite number")), 0.0f;
  rest_.remove_prefix(number.size());
  skip_spaces();
  return value;
}

int32_t TextCursor::index(char sign, size_t count, std::string_view of) {
  if (!peek(std::string_view(&sign, 1))) return expected(text(of, " ", sign, "N")), 0;
  if (count == 0) return expected(text(of, " that stands above; there is none")), 0;
  rest_.remove_prefix(1);
  return static_cast<int32_t>(integer(text(of, " number"), 0, static_cast<int64_t>(count) - 1));
}
void TextCursor::next_index(char sign, size_t next) {
  const std::string wanted = text(sign, next);
  if (!peek(wanted) || (rest_.size() > wanted.size() && is_digit(rest_[wanted.size()])))
    return expected(text("'", wanted, "', the next number"));
  take(wanted);
}

DType TextCursor::dtype() {
  const std::string found = word("a dtype");
  const auto known = dtype_named(found);
  if (ok() && !known) fail(text("expected one of bf16, f16, f32, i32, i64, u8, found '", found, "'"));
  return known.value_or(DType::bf16);
}

Shape TextCursor::shape() {
  Shape out;
  expect("[");
  while (ok() && !take("]")) {
    if (!out.empty()) expect(",");
    if (out.size() >= kMaxDimensions) return expected(text("at most ", kMaxDimensions, " dimensions")), out;
    const bool sized = !rest_.empty() && (is_digit(rest_.front()) || rest_.front() == '-');
    int64_t size = sized ? integer("a size", 1, kMaxElements) : 1;
    Axis axis = Axis::plain;
    if (ok() && !peek(",") && !peek("]")) {
      const std::string found = word("the role of a dimension");
      for (axis = Axis::tokens; axis <= Axis::expert_ffn && name(axis) != found;)
        axis = static_cast<Axis>(static_cast<uint8_t>(axis) + 1);
      if (ok() && axis > Axis::expert_ffn)
        fail(text("expected tokens, sequences, logit_rows, vocab, heads, kv_heads, ffn, experts or expert_ffn, found '",
                  found, "'"));
      if (ok() && !sized && !is_rows(axis)) fail(text("expected a size before '", found, "'"));
      if (ok() && sized && size == 1 && is_rows(axis)) fail(text("expected '", found, "' alone for one row of it"));
    }
    if (ok()) out.push_back(Dim(size, axis));
  }
  if (ok() && !checked_elements(out)) fail(text("expected a shape of at most 2^48 elements, found ", to_string(out)));
  return out;
}

StateKind TextCursor::state_kind() {
  const std::string found = word("a state kind");
  if (found == "full") return full();
  if (found == "latent") return latent();
  const bool known = found == "window" || found == "chunk" || found == "recurrent";
  if (ok() && !known) fail(text("expected full, window(N), chunk(N), latent or recurrent(N), found '", found, "'"));
  expect("(");
  const int64_t extent = integer("a count", 1, kMaxElements);
  expect(")");
  return found == "window" ? window(extent) : found == "chunk" ? chunk(extent) : recurrent(extent);
}

AttributeValue TextCursor::attribute_value(size_t tables) {
  if (peek("\"")) return quoted("an attribute's string", 65536);
  if (peek("@")) return Constant{index('@', tables, "a table")};
  const std::string_view here = number_here();
  if (!here.empty() && (is_digit(here.front()) || here.front() == '-' || here.front() == '.')) {
    if (here.find_first_of(".eEn") == std::string_view::npos)
      return integer("an integer", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
    return real("an attribute's value");
  }
  const std::string found = word("an attribute's value");
  if (found == "true" || found == "false") return found == "true";
  if (found == "nan" || found == "inf") fail(text("expected a finite number, found '", found, "'"));
  return Symbol{found};
}

Attributes TextCursor::attributes(size_t tables) {
  Attributes out;
  expect("{");
  while (ok() && !take("}")) {
    if (!out.empty()) expect(",");
    if (out.size() >= kMaxAttributes) return expected(text("at most ", kMaxAttributes, " attributes")), out;
    Attribute attribute{word("an attribute's name"), false};
    expect("=");
    attribute.value = attribute_value(tables);
    for (const Attribute& before : out)
      if (ok() && before.name == attribute.name) fail(text("attribute '", attribute.name, "' is given twice"));
    if (ok()) out.push_back(std::move(attribute));
  }
  return out;
}

}  // namespace tare
