// JSON as a row of events, for readers that check while they read: nothing is built that the reader does not keep, and
// a reader stops at the first thing that it does not accept. [any thread]
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/api/status.hpp"

namespace tare {

// Every call may refuse; the sentence gets the line in front. Views are valid during the call.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual Status begin_object() = 0;
  virtual Status end_object() = 0;
  virtual Status begin_array() = 0;
  virtual Status end_array() = 0;
  virtual Status key(std::string_view name) = 0;
  virtual Status string(std::string_view value) = 0;
  virtual Status number(std::string_view digits) = 0;  // as written: std::from_chars reads it
  virtual Status boolean(bool value) = 0;
  virtual Status null() = 0;
};
struct JsonLimits {
  uint32_t depth = 32;
  // NaN, Infinity and -Infinity as Python writes them: they arrive as numbers "nan", "inf", "-inf".
  bool python_numbers = false;
};
// Strict otherwise: UTF-8, one value, nothing after it. `what` names the text in messages: "config.json:3: ...".
Status read_json(std::string_view text, std::string_view what, const JsonLimits& limits, JsonEvents& events);

}  // namespace tare
