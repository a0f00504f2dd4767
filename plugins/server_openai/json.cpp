#include "plugins/server_openai/json.hpp"

#include "plugins/server_openai/json_writer.hpp"

namespace tare::server {

std::optional<double> Json::number() const noexcept {
  if (const auto* integer = as<int64_t>()) return static_cast<double>(*integer);
  if (const auto* real = as<double>()) return *real;
  return std::nullopt;
}

const Json* find(const JsonObject& object, std::string_view name) noexcept {
  for (const JsonMember& member : object)
    if (member.name == name) return &member.value;
  return nullptr;
}

std::string quoted(std::string_view text) {
  constexpr size_t kMost = 60;
  std::string out = "'";
  for (char c : text.substr(0, kMost)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  // A character must not be cut in two.
  if (text.size() > kMost) {
    while (out.size() > 1 && (out.back() & 0xC0) == 0x80) out.pop_back();
    if (out.size() > 1 && (out.back() & 0x80) != 0) out.pop_back();
    out += "...";
  }
  return out + "'";
}

std::string describe(const Json& json) {
  if (json.is_null()) return "null";
  if (const auto* flag = json.as<bool>()) return *flag ? "true" : "false";
  if (json.number()) return "the number " + to_text(json);
  if (const auto* string = json.as<std::string>()) return "the string " + quoted(*string);
  if (const auto* array = json.as<JsonArray>())
    return array->empty() ? "an empty list" : text("a list of ", array->size());
  return "an object";
}

namespace {
void write(const Json& json, JsonWriter& to) {
  if (json.is_null()) {
    to.null();
  } else if (const auto* flag = json.as<bool>()) {
    to.boolean(*flag);
  } else if (const auto* integer = json.as<int64_t>()) {
    to.number(*integer);
  } else if (const auto* real = json.as<double>()) {
    to.number(*real);
  } else if (const auto* string = json.as<std::string>()) {
    to.string(*string);
  } else if (const auto* array = json.as<JsonArray>()) {
    to.begin_array();
    for (const Json& item : *array) write(item, to);
    to.end_array();
  } else if (const auto* object = json.as<JsonObject>()) {
    to.begin_object();
    for (const JsonMember& member : *object) {
      to.key(member.name);
      write(member.value, to);
    }
    to.end_object();
  }
}
}  // namespace

std::string to_text(const Json& json) {
  JsonWriter out;
  write(json, out);
  return out.take();
}

}  // namespace tare::server
