#include "plugins/server_openai/fields.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "plugins/server_openai/nearest.hpp"

namespace tare::server {

const Json* Fields::find(std::string_view name) {
  known_.push_back(name);
  const Json* json = server::find(object_, name);
  return json != nullptr && json->is_null() ? nullptr : json;
}

void Fields::fail(std::string_view name, std::string message) {
  if (!refusal_) refusal_ = bad_field(prefix_ + std::string(name), std::move(message));
}
void Fields::expected(std::string_view name, const Json& found, std::string_view wanted) {
  fail(name, text(prefix_, name, " is ", describe(found), ", expected ", wanted));
}
void Fields::not_implemented(std::string_view name, const Json& json, std::string_view accepted) {
  if (accepted.empty()) {
    fail(name, text(prefix_, name, " is not implemented by this server, expected it to be left out"));
  } else {
    fail(name, text(prefix_, name, " is ", describe(json), ", which is not implemented by this server, expected ",
                    accepted, " or none"));
  }
}

void Fields::boolean(std::string_view name, bool* out) {
  const Json* json = find(name);
  if (json == nullptr) return;
  if (const auto* flag = json->as<bool>()) {
    *out = *flag;
  } else {
    expected(name, *json, "true or false");
  }
}
void Fields::integer(std::string_view name, int64_t low, int64_t high, int64_t* out) {
  const Json* json = find(name);
  if (json == nullptr) return;
  std::optional<int64_t> value;
  if (const auto* integer = json->as<int64_t>()) value = *integer;
  // 16.0 is a whole number too.
  if (const auto* real = json->as<double>(); real != nullptr && std::trunc(*real) == *real && std::fabs(*real) < 9e15)
    value = static_cast<int64_t>(*real);
  if (value && *value >= low && *value <= high) {
    *out = *value;
  } else if (high == std::numeric_limits<int64_t>::max()) {
    expected(name, *json, "a whole number");
  } else {
    expected(name, *json, text("a whole number from ", low, " to ", high));
  }
}
void Fields::integer(std::string_view name, int64_t low, int64_t high, int32_t* out) {
  int64_t value = *out;
  integer(name, low, high, &value);
  *out = static_cast<int32_t>(value);
}
void Fields::number(std::string_view name, float low, float high, float* out) {
  const Json* json = find(name);
  if (json == nullptr) return;
  const auto value = json->number();
  if (value && *value >= low && *value <= high) {
    *out = static_cast<float>(*value);
  } else {
    expected(name, *json, text("a number from ", low, " to ", high));
  }
}
void Fields::string(std::string_view name, std::string* out) {
  const Json* json = find(name);
  if (json == nullptr) return;
  if (const auto* string = json->as<std::string>()) {
    *out = *string;
  } else {
    expected(name, *json, "a string");
  }
}
const JsonObject* Fields::object(std::string_view name) {
  const Json* json = find(name);
  if (json == nullptr) return nullptr;
  const auto* object = json->as<JsonObject>();
  if (object == nullptr) expected(name, *json, "an object");
  return object;
}
const JsonArray* Fields::array(std::string_view name) {
  const Json* json = find(name);
  if (json == nullptr) return nullptr;
  const auto* array = json->as<JsonArray>();
  if (array == nullptr) expected(name, *json, "a list");
  return array;
}
bool Fields::id(std::string_view name, const Json& element, size_t index, int32_t* out) {
  const auto* id = element.as<int64_t>();
  if (id == nullptr || *id < 0 || *id > std::numeric_limits<int32_t>::max()) {
    expected(text(name, "[", index, "]"), element, "a token id");
    return false;
  }
  *out = static_cast<int32_t>(*id);
  return true;
}
void Fields::ids(std::string_view name, std::vector<int32_t>* out) {
  const JsonArray* list = array(name);
  if (list == nullptr) return;
  out->clear();
  out->reserve(list->size());
  for (const Json& element : *list) {
    int32_t value = 0;
    if (!id(name, element, out->size(), &value)) return;
    out->push_back(value);
  }
}

void Fields::require(std::string_view name) {
  if (!has(name)) fail(name, text(prefix_, name, " is missing, expected it in the request"));
}
void Fields::accept_string(std::string_view name) {
  std::string ignored;
  string(name, &ignored);
}
void Fields::accept_object(std::string_view name) { object(name); }

Refusal Fields::finish() {
  for (const JsonMember& member : object_) {
    if (refusal_) break;
    if (std::find(known_.begin(), known_.end(), member.name) != known_.end()) continue;
    const std::string_view near = nearest_name(member.name, known_);
    fail(member.name, text("unknown field ", quoted(prefix_ + member.name),
                           near.empty() ? std::string() : text(", did you mean '", prefix_, near, "'?")));
  }
  return refusal_;
}

}  // namespace tare::server
