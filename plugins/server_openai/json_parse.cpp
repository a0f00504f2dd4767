#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <charconv>
#include <cmath>

#include "plugins/server_openai/json.hpp"

namespace tare::server {
namespace {

// Builds the value from the parser's events: `open` holds the containers that are not closed yet.
struct Handler {
  // Sizes are bounded by the body's own limit.
  static constexpr size_t max_object_size = size_t(-1), max_array_size = size_t(-1), max_key_size = size_t(-1),
                          max_string_size = size_t(-1);
  using Error = boost::json::error_code;
  using View = boost::json::string_view;

  size_t most_values = 0, values = 0;
  Json root;
  std::vector<Json> open;
  std::vector<std::string> keys;  // of the open containers: the name that waits for its value
  std::string part;               // a key or string that comes in parts
  Status status;

  bool refuse(Status why, Error& error) {
    status = std::move(why);
    error = boost::system::errc::make_error_code(boost::system::errc::operation_canceled);
    return false;
  }
  bool put(Json value, Error& error) {
    if (++values > most_values)
      return refuse(invalid("the body holds more than ", most_values, " values, expected at most that many"), error);
    if (open.empty()) {
      root = std::move(value);
      return true;
    }
    if (auto* array = std::get_if<JsonArray>(&open.back().value)) {
      array->push_back(std::move(value));
    } else {
      std::get<JsonObject>(open.back().value).push_back({std::move(keys.back()), std::move(value)});
    }
    return true;
  }
  bool begin(Json container) {
    open.push_back(std::move(container));
    keys.emplace_back();
    return true;
  }
  bool end(Error& error) {
    Json done = std::move(open.back());
    open.pop_back();
    keys.pop_back();
    return put(std::move(done), error);
  }
  bool keep(View text) {
    part.append(text.data(), text.size());
    return true;
  }
  std::string take(View text) {
    keep(text);
    return std::exchange(part, {});
  }
  bool has_nul(const std::string& text, Error& error) {
    if (text.find('\0') == std::string::npos) return false;
    refuse(invalid("a string of the body holds the character U+0000, expected text without it"), error);
    return true;
  }

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) { return begin({JsonObject{}}); }
  bool on_object_end(size_t, Error& error) {
    // Sorted names show doubles without a quadratic search.
    const auto& object = std::get<JsonObject>(open.back().value);
    std::vector<std::string_view> names;
    for (const JsonMember& member : object) names.push_back(member.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end())
      return refuse(invalid("the field ", quoted(*twice), " is given twice in one object, expected once"), error);
    return end(error);
  }
  bool on_array_begin(Error&) { return begin({JsonArray{}}); }
  bool on_array_end(size_t, Error& error) { return end(error); }
  bool on_key_part(View text, size_t, Error&) { return keep(text); }
  bool on_key(View text, size_t, Error& error) {
    keys.back() = take(text);
    return !has_nul(keys.back(), error);
  }
  bool on_string_part(View text, size_t, Error&) { return keep(text); }
  bool on_string(View text, size_t, Error& error) {
    std::string value = take(text);
    return !has_nul(value, error) && put({std::move(value)}, error);
  }
  bool on_number_part(View text, Error&) { return keep(text); }
  bool on_int64(int64_t value, View, Error& error) {
    part.clear();
    return put({value}, error);
  }
  bool on_uint64(uint64_t value, View, Error& error) {
    part.clear();
    return put({static_cast<double>(value)}, error);
  }
  bool on_double(double value, View text, Error& error) {
    // Boost.JSON's own reading may be a few units off in the last place; from_chars is exact.
    const std::string digits = take(text);
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (!std::isfinite(value))
      return refuse(invalid("the number ", quoted(digits), " of the body is beyond what a double holds"), error);
    return put({value}, error);
  }
  bool on_bool(bool value, Error& error) { return put({value}, error); }
  bool on_null(Error& error) { return put({}, error); }
  bool on_comment_part(View, Error&) { return true; }
  bool on_comment(View, Error&) { return true; }
};

}  // namespace

Result<Json> parse_json(std::string_view text, const JsonLimits& limits) {
  if (text.find_first_not_of(" \t\r\n") == text.npos) return invalid("the body is empty, expected a JSON object");
  boost::json::parse_options options;
  options.max_depth = limits.depth;
  boost::json::basic_parser<Handler> parser(options);
  Handler& handler = parser.handler();
  handler.most_values = limits.values;
  boost::json::error_code error;
  const size_t end = parser.write_some(false, text.data(), text.size(), error);
  if (!handler.status.ok()) return std::move(handler.status);
  if (error == boost::json::error::too_deep)
    return invalid("the body is nested deeper than ", limits.depth, " levels, expected at most that many");
  if (error == boost::json::error::incomplete)
    return invalid("the body ends after ", text.size(), " bytes within the JSON, expected a whole value");
  if (error) return invalid("the body is no valid JSON at byte ", end, ": ", error.message());
  const size_t rest = text.find_first_not_of(" \t\r\n", end);
  if (rest != text.npos) return invalid("something follows the JSON's end at byte ", rest, " of the body");
  return std::move(handler.root);
}

}  // namespace tare::server
