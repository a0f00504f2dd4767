#include "core/config/model_config.hpp"

#include <charconv>
#include <cmath>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/printable.hpp"

namespace tare {
namespace {

constexpr size_t kMostBytes = 16u << 20, kMostKeyBytes = 64u << 20;

class Flatten final : public JsonEvents {
 public:
  explicit Flatten(Config::Values* values) : values_(values) {}
  Status begin_object() override { return open(false); }
  Status begin_array() override { return open(true); }
  Status end_object() override { return close(); }
  Status end_array() override { return close(); }
  Status key(std::string_view name) override {
    path_.resize(levels_.back().prefix);
    if (levels_.size() > 1) path_ += '.';
    path_ += name;
    return {};
  }
  Status string(std::string_view value) override { return put(std::string(value)); }
  Status boolean(bool value) override { return put(value); }
  Status null() override {
    next();
    if (levels_.empty()) return invalid("is null, expected an object");
    return {};
  }
  Status number(std::string_view digits) override {
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (end != digits.data() + digits.size() || error == std::errc::invalid_argument)
      return invalid("'", printable(path_, 80), "' is no number: ", printable(digits, 40));
    if (error == std::errc::result_out_of_range)  // from_chars leaves the value alone
      value = std::strtod(std::string(digits).c_str(), nullptr);
    return put(value);
  }

 private:
  struct Level {
    size_t prefix;  // length of the path of this object or list
    bool list;
    int64_t count = 0;
  };
  void next() {  // in a list, the path gets the element's number
    if (levels_.empty() || !levels_.back().list) return;
    path_.resize(levels_.back().prefix);
    path_ += "." + std::to_string(levels_.back().count++);
  }
  Status open(bool list) {
    if (levels_.empty() && list) return invalid("is a list, expected an object");
    next();
    levels_.push_back({path_.size(), list});
    return {};
  }
  Status close() {
    path_.resize(levels_.back().prefix);
    levels_.pop_back();
    return {};
  }
  Status put(Config::Value value) {
    if (levels_.empty()) return invalid("is a single value, expected an object");
    next();
    key_bytes_ += path_.size();
    if (key_bytes_ > kMostKeyBytes) return failure(Code::exhausted, "its keys unfold to more than 64 MiB");
    values_->insert_or_assign(path_, std::move(value));
    return {};
  }

  Config::Values* values_;
  std::string path_;
  std::vector<Level> levels_;
  size_t key_bytes_ = 0;
};

std::string print(const Config::Value& value) {
  if (const bool* b = std::get_if<bool>(&value)) return *b ? "true" : "false";
  if (const std::string* s = std::get_if<std::string>(&value)) return json_string(*s);
  const double number = std::get<double>(value);
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
  char digits[40];
  if (number == std::trunc(number) && std::abs(number) < 9e15)
    return {digits, std::to_chars(digits, digits + sizeof digits, static_cast<int64_t>(number)).ptr};
  return {digits, std::to_chars(digits, digits + sizeof digits, number).ptr};
}

struct Node {
  const Config::Value* value = nullptr;
  std::map<std::string, Node, std::less<>> children;
};
bool is_list(const Node& node) {
  for (size_t i = 0; i < node.children.size(); ++i)
    if (!node.children.contains(std::to_string(i))) return false;
  return true;
}
void print(const Node& node, size_t depth, std::string* out) {
  if (node.value != nullptr) return static_cast<void>(*out += print(*node.value));
  const bool list = depth > 1 && is_list(node);
  const std::string line = list ? "" : "\n" + std::string(2 * depth, ' ');
  *out += list ? "[" : "{";
  size_t i = 0;
  const auto element = [&](const std::string& key, const Node& child) {
    if (i++ > 0) *out += list ? ", " : ",";
    if (!list) *out += line + json_string(key) + ": ";
    print(child, depth + 1, out);
  };
  if (list)
    for (size_t k = 0; k < node.children.size(); ++k) element(std::to_string(k), node.children.at(std::to_string(k)));
  else
    for (const auto& [key, child] : node.children) element(key, child);
  if (!list) *out += "\n" + std::string(2 * (depth - 1), ' ');
  *out += list ? "]" : "}";
}

}  // namespace

Result<Config::Values> parse_model_config(std::string_view text, std::string_view what) {
  if (text.size() > kMostBytes)
    return failure(Code::exhausted, what, ": has ", text.size(), " bytes, at most ", kMostBytes, " are accepted");
  Config::Values values;
  Flatten flatten(&values);
  TARE_RETURN_IF_ERROR(read_json(text, what, {.depth = 32, .python_numbers = true}, flatten));
  return values;
}

std::string print_model_config(const Config::Values& values) {
  Node root;
  for (const auto& [key, value] : values) {
    Node* node = &root;
    size_t parts = 0;
    for (size_t begin = 0; begin <= key.size();) {
      // Deeper than a reader would take them, dots stay in the key: it unfolds to the same.
      const size_t dot = ++parts < 24 ? std::min(key.find('.', begin), key.size()) : key.size();
      node = &node->children[key.substr(begin, dot - begin)];
      begin = dot + 1;
    }
    node->value = &value;
  }
  if (root.children.empty()) return "{}\n";
  std::string out;
  print(root, 1, &out);
  return out + "\n";
}

}  // namespace tare
