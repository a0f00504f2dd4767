// JSON as a value: what a request's body becomes. Plain values. [any thread]
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/api/status.hpp"

namespace tare::server {

struct Json;
struct JsonMember;
using JsonArray = std::vector<Json>;
using JsonObject = std::vector<JsonMember>;  // in the order of the text; names are unique

struct Json {
  std::variant<std::monostate, bool, int64_t, double, std::string, JsonArray, JsonObject> value;

  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(value); }
  // The value of that type, or null.
  template <class T>
  const T* as() const noexcept {
    return std::get_if<T>(&value);
  }
  // A number of either kind as double; nothing otherwise.
  std::optional<double> number() const noexcept;
};
struct JsonMember {
  std::string name;
  Json value;
};

struct JsonLimits {
  uint32_t depth = 64;
  size_t values = 1 << 20;  // of the whole text: "1,1,1,..." must not become a hundred times its size
};
// Strict: UTF-8, one value, nothing after it, no name twice in an object, no U+0000 (templates and tokenizers need not
// cope with it). The failure says where and what.
Result<Json> parse_json(std::string_view text, const JsonLimits& limits = {});

const Json* find(const JsonObject& object, std::string_view name) noexcept;
// What was found, for a message: "the string 'hot'", "the number 7", "a list of 3", "null". Never longer than a line.
std::string describe(const Json& json);
// Text of a user in quotation marks, cut and without control characters.
std::string quoted(std::string_view text);
// The JSON text of the value.
std::string to_text(const Json& json);

}  // namespace tare::server
