#include "core/base/json.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>

namespace tare {
namespace {

// Stands for one of Python's numbers, as a string that no file has reason to hold.
constexpr std::string_view kMark("\0tare:", 6);

// Boost.JSON 1.81 does not know NaN and Infinity: outside of strings they are replaced by marked strings.
std::string mark_python_numbers(std::string_view text) {
  constexpr std::pair<std::string_view, std::string_view> words[] = {
      {"NaN", "nan"}, {"-Infinity", "-inf"}, {"Infinity", "inf"}};
  std::string out;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const auto word = std::find_if(std::begin(words), std::end(words),
                                   [&](const auto& w) { return !in_string && text.substr(i).starts_with(w.first); });
    if (word != std::end(words)) {
      out += "\"\\u0000tare:" + std::string(word->second) + "\"";
      i += word->first.size();
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    if (in_string && text[i] == '\\' && i + 1 < text.size()) out += text[i++];
    out += text[i++];
  }
  return out;
}

struct Handler {
  // Sizes are bounded by the text's own length.
  static constexpr size_t max_object_size = size_t(-1), max_array_size = size_t(-1), max_key_size = size_t(-1),
                          max_string_size = size_t(-1);
  using Error = boost::json::error_code;
  JsonEvents* events = nullptr;
  bool python_numbers = false;
  Status status;
  std::string part;  // a key, string or number that comes in parts

  bool give(Status result, Error& error) {
    if (result.ok()) return true;
    status = std::move(result);
    error = boost::system::errc::make_error_code(boost::system::errc::operation_canceled);
    return false;
  }
  bool keep(boost::json::string_view text) {
    part.append(text.data(), text.size());
    return true;
  }
  std::string take(boost::json::string_view text) {
    keep(text);
    return std::exchange(part, {});
  }
  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error& e) { return give(events->begin_object(), e); }
  bool on_object_end(size_t, Error& e) { return give(events->end_object(), e); }
  bool on_array_begin(Error& e) { return give(events->begin_array(), e); }
  bool on_array_end(size_t, Error& e) { return give(events->end_array(), e); }
  bool on_key_part(boost::json::string_view text, size_t, Error&) { return keep(text); }
  bool on_key(boost::json::string_view text, size_t, Error& e) { return give(events->key(take(text)), e); }
  bool on_string_part(boost::json::string_view text, size_t, Error&) { return keep(text); }
  bool on_string(boost::json::string_view text, size_t, Error& e) {
    const std::string value = take(text);
    if (python_numbers && value.starts_with(kMark)) return give(events->number(value.substr(kMark.size())), e);
    return give(events->string(value), e);
  }
  bool on_number_part(boost::json::string_view text, Error&) { return keep(text); }
  bool on_int64(int64_t, boost::json::string_view text, Error& e) { return give(events->number(take(text)), e); }
  bool on_uint64(uint64_t, boost::json::string_view text, Error& e) { return give(events->number(take(text)), e); }
  bool on_double(double, boost::json::string_view text, Error& e) { return give(events->number(take(text)), e); }
  bool on_bool(bool value, Error& e) { return give(events->boolean(value), e); }
  bool on_null(Error& e) { return give(events->null(), e); }
  bool on_comment_part(boost::json::string_view, Error&) { return true; }
  bool on_comment(boost::json::string_view, Error&) { return true; }
};

}  // namespace

Status read_json(std::string_view text, std::string_view what, const JsonLimits& limits, JsonEvents& events) {
  std::string marked;
  if (limits.python_numbers && (text.find("NaN") != text.npos || text.find("Infinity") != text.npos)) {
    marked = mark_python_numbers(text);
    text = marked;
  }
  boost::json::parse_options options;
  options.max_depth = limits.depth;
  boost::json::basic_parser<Handler> parser(options);
  parser.handler().events = &events;
  parser.handler().python_numbers = limits.python_numbers;
  boost::json::error_code error;
  const size_t end = parser.write_some(false, text.data(), text.size(), error);
  const auto at = [&](size_t offset) {
    offset = std::min(offset, text.size());
    return tare::text(what, ":", 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(offset), '\n'));
  };
  if (!parser.handler().status.ok()) return std::move(parser.handler().status).in(at(end));
  if (error == boost::json::error::too_deep) return invalid(at(end), ": is nested deeper than ", limits.depth);
  if (error == boost::json::error::incomplete) return invalid(at(end), ": the JSON ends too early");
  if (error) return invalid(at(end), ": is no valid JSON: ", error.message());
  const size_t rest = text.find_first_not_of(" \t\r\n", end);
  if (rest != text.npos) return invalid(at(rest), ": something follows the JSON's end");
  return {};
}

}  // namespace tare
