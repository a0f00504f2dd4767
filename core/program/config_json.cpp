#include "core/program/config_json.hpp"

#include <boost/json.hpp>

namespace tare {
namespace {

constexpr size_t kMaxEntries = 1 << 20;

bool flatten(const std::string& key, const boost::json::value& value, Config::Values& out) {
  if (out.size() > kMaxEntries) return false;
  const auto inner = [&](std::string_view name) { return key.empty() ? std::string(name) : text(key, ".", name); };
  switch (value.kind()) {
    case boost::json::kind::null:
      return true;
    case boost::json::kind::bool_:
      out[key] = value.get_bool();
      return true;
    case boost::json::kind::int64:
      out[key] = static_cast<double>(value.get_int64());
      return true;
    case boost::json::kind::uint64:
      out[key] = static_cast<double>(value.get_uint64());
      return true;
    case boost::json::kind::double_:
      out[key] = value.get_double();
      return true;
    case boost::json::kind::string:
      out[key] = std::string(value.get_string());
      return true;
    case boost::json::kind::array:
      for (size_t i = 0; i < value.get_array().size(); ++i)
        if (!flatten(inner(std::to_string(i)), value.get_array()[i], out)) return false;
      return true;
    case boost::json::kind::object:
      for (const auto& member : value.get_object())
        if (!flatten(inner(std::string_view(member.key().data(), member.key().size())), member.value(), out))
          return false;
      return true;
  }
  return true;
}

}  // namespace

Result<Config::Values> config_values(std::string_view json) {
  boost::json::error_code error;
  boost::json::stream_parser parser({}, {.max_depth = 32});
  const size_t used = parser.write_some(json.data(), json.size(), error);
  if (!error) parser.finish(error);
  if (!error && json.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    return invalid("config.json: found more text after the object's end, at byte ", used);
  if (error) return invalid("config.json: at byte ", used, ": ", error.message());
  const boost::json::value value = parser.release();
  if (!value.is_object()) return invalid("config.json: expected an object at the top");
  Config::Values out;
  if (!flatten("", value, out)) return invalid("config.json: has more than ", kMaxEntries, " entries");
  return out;
}

}  // namespace tare
