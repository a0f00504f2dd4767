// Attributes: the erased, printable form of a plain struct (an op's fields, a kernel's config). Program text, the
// tuning database, logs and tests all use this one form. A struct takes part by a static `fields(self, visitor)`.
// Thread rule: plain values, [any thread].
#pragma once
#include <charconv>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "core/api/shape.hpp"
#include "core/api/status.hpp"

namespace tare {

struct Symbol {  // the name of an enumerator: printed without quotes
  std::string name;
  bool operator==(const Symbol&) const = default;
};
using AttributeValue = std::variant<bool, int64_t, float, Symbol, std::string, Constant>;
struct Attribute {
  std::string name;
  AttributeValue value;
  bool operator==(const Attribute&) const = default;
};
using Attributes = std::vector<Attribute>;

// The shortest decimal form that parses back to the same bits; NaN and infinities as std::to_chars writes them.
inline std::string to_string(float value) {
  char buffer[48];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string out(buffer, end);
  if (out.find_first_of(".en") == std::string::npos) out += ".0";  // keeps floats apart from integers
  return out;
}
inline std::string to_string(const AttributeValue& value) {
  struct Print {
    std::string operator()(bool b) const { return b ? "true" : "false"; }
    std::string operator()(int64_t i) const { return std::to_string(i); }
    std::string operator()(float f) const { return tare::to_string(f); }
    std::string operator()(const Symbol& s) const { return s.name; }
    std::string operator()(const std::string& s) const {
      std::string out = "\"";
      for (char c : s) {
        if (c == '"' || c == '\\') out += '\\';
        if (c == '\n')
          out += "\\n";
        else
          out += c;
      }
      return out + '"';
    }
    std::string operator()(Constant c) const { return text("@", c.id); }
  };
  return std::visit(Print{}, value);
}
// "{eps = 1e-05, offset = 1.0}", "{}" when there are none.
inline std::string to_string(const Attributes& attributes) {
  std::string out = "{";
  for (const Attribute& a : attributes) out += text(out.size() > 1 ? ", " : "", a.name, " = ", to_string(a.value));
  return out + "}";
}

// The names of an enum's values in order, for fields of enum type: specialise, or overload by ADL in the enum's
// namespace:
//   constexpr std::span<const std::string_view> enumerators(MyEnum) noexcept;

namespace detail {
struct AttributeWriter {
  Attributes* out;
  template <class T>
  void operator()(std::string_view key, const T& field) const {
    if constexpr (std::is_enum_v<T>)
      out->push_back({std::string(key), Symbol{std::string(enumerators(field)[static_cast<size_t>(field)])}});
    else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, float> || std::is_same_v<T, std::string> ||
                       std::is_same_v<T, Constant>)
      out->push_back({std::string(key), field});
    else
      out->push_back({std::string(key), static_cast<int64_t>(field)});
  }
};
struct AttributeReader {
  std::span<const Attribute> in;
  std::vector<std::string_view>* known;
  Status* status;
  template <class T>
  void operator()(std::string_view key, T& field) const {
    known->push_back(key);
    for (const Attribute& a : in)
      if (a.name == key) return assign(a, field);
  }
  template <class T>
  void assign(const Attribute& a, T& field) const {
    if constexpr (std::is_enum_v<T>) {
      const auto* symbol = std::get_if<Symbol>(&a.value);
      const auto names = enumerators(field);
      for (size_t i = 0; symbol != nullptr && i < names.size(); ++i)
        if (names[i] == symbol->name) return static_cast<void>(field = static_cast<T>(i));
      std::string wanted;
      for (auto n : names) wanted += text(wanted.empty() ? "" : ", ", n);
      refuse(a, "one of " + wanted);
    } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, std::string> || std::is_same_v<T, Constant>) {
      if (const T* v = std::get_if<T>(&a.value)) return static_cast<void>(field = *v);
      refuse(a, std::is_same_v<T, bool> ? "true or false" : std::is_same_v<T, Constant> ? "a table (@n)" : "a string");
    } else if constexpr (std::is_floating_point_v<T>) {
      if (const float* v = std::get_if<float>(&a.value)) return static_cast<void>(field = *v);
      if (const int64_t* v = std::get_if<int64_t>(&a.value)) return static_cast<void>(field = static_cast<T>(*v));
      refuse(a, "a number");
    } else {
      if (const int64_t* v = std::get_if<int64_t>(&a.value); v && std::in_range<T>(*v))
        return static_cast<void>(field = static_cast<T>(*v));
      refuse(a, "an integer that fits");
    }
  }
  void refuse(const Attribute& a, const std::string& wanted) const {
    if (status->ok()) *status = invalid("attribute '", a.name, "': found ", to_string(a.value), ", expected ", wanted);
  }
};
}  // namespace detail

template <class T>
Attributes to_attributes(const T& value) {
  Attributes out;
  T::fields(value, detail::AttributeWriter{&out});
  return out;
}
// A T with the given fields set, the others at their defaults. Unknown names and wrong types are refused by name.
template <class T>
Result<T> from_attributes(std::span<const Attribute> attributes) {
  T value{};
  Status status;
  std::vector<std::string_view> known;
  T::fields(value, detail::AttributeReader{attributes, &known, &status});
  for (const Attribute& a : attributes) {
    bool found = false;
    for (auto k : known) found |= k == a.name;
    if (!found && status.ok()) status = invalid("attribute '", a.name, "' is unknown");
  }
  if (!status.ok()) return status;
  return value;
}

}  // namespace tare
