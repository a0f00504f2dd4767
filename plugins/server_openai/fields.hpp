// Fields: reads the members of one JSON object. Each is asked for by name, with its type and range; what nobody asked
// for is refused by name. The first mistake is kept and later calls do nothing, so reading is a plain row of calls.
// null counts as absent, as OpenAI's own clients send it. One thread; the object must outlive it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/server_openai/api_error.hpp"
#include "plugins/server_openai/json.hpp"

namespace tare::server {

class Fields {
 public:
  // `prefix` stands before names in messages: "" or "stream_options.".
  explicit Fields(const JsonObject& object, std::string prefix = {}) : object_(object), prefix_(std::move(prefix)) {}

  // The field's value; null when it is absent or null. The name counts as known.
  const Json* find(std::string_view name);
  bool has(std::string_view name) { return find(name) != nullptr; }

  // Where the field is there, its value; another type or a value out of range is a mistake. Bounds are included.
  void boolean(std::string_view name, bool* out);
  void integer(std::string_view name, int64_t low, int64_t high, int64_t* out);
  void integer(std::string_view name, int64_t low, int64_t high, int32_t* out);
  void number(std::string_view name, float low, float high, float* out);
  void string(std::string_view name, std::string* out);
  const JsonObject* object(std::string_view name);
  const JsonArray* array(std::string_view name);
  // Token ids, each from 0 to 2^31-1 (the engine knows the vocabulary).
  void ids(std::string_view name, std::vector<int32_t>* out);
  // The one element `index` of a list of ids.
  bool id(std::string_view name, const Json& element, size_t index, int32_t* out);

  void require(std::string_view name);
  // Of OpenAI's fields, what changes nothing here: known, its type checked, no more.
  void accept_string(std::string_view name);
  void accept_object(std::string_view name);
  // Known and not implemented: refused by name unless absent, null, or `harmless` says that it asks for nothing.
  void refuse(std::string_view name) {
    refuse(name, [](const Json&) { return false; }, {});
  }
  template <class Harmless>
  void refuse(std::string_view name, Harmless harmless, std::string_view accepted) {
    const Json* json = find(name);
    if (json != nullptr && !harmless(*json)) not_implemented(name, *json, accepted);
  }

  void fail(std::string_view name, std::string message);
  // "wanted" completes "FIELD is FOUND, expected WANTED".
  void expected(std::string_view name, const Json& found, std::string_view wanted);
  // Names that were not asked for are refused now. The first mistake, if there was one.
  Refusal finish();
  bool ok() const noexcept { return !refusal_; }

 private:
  void not_implemented(std::string_view name, const Json& json, std::string_view accepted);

  const JsonObject& object_;
  const std::string prefix_;
  std::vector<std::string_view> known_;
  Refusal refusal_;
};

}  // namespace tare::server
