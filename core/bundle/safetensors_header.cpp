#include "core/bundle/safetensors_header.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <tuple>

#include "core/base/json.hpp"
#include "core/base/printable.hpp"

namespace tare {
namespace {

// The format's types and their sizes in bits (safetensors 0.6, `Dtype`).
constexpr std::pair<std::string_view, int64_t> kTypes[] = {
    {"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},    {"F8_E5M2", 8},
    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16}, {"BF16", 16}, {"I32", 32},
    {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},    {"I64", 64}, {"U64", 64},
};
constexpr size_t kMostDimensions = 16;

std::string quoted(std::string_view name) { return "'" + printable(name, 120) + "'"; }

// {"__metadata__": {"format": "pt"}, "name": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}, ...}
class Reader final : public JsonEvents {
 public:
  explicit Reader(SafetensorsHeader* header) : header_(header) {}

  Status begin_object() override {
    switch (place_) {
      case Place::start:
        return go(Place::names);
      case Place::name:
        if (metadata_) return go(Place::metadata);
        seen_ = {};
        return go(Place::fields);
      default:
        return unexpected("an object");
    }
  }
  Status end_object() override {
    switch (place_) {
      case Place::names:
        return go(Place::end);
      case Place::metadata:
        return go(Place::names);
      default:
        break;  // Place::fields
    }
    for (size_t f = 0; f < 3; ++f)
      if (!seen_[f]) return invalid("tensor ", quoted(tensor_.name), " has no '", kFields[f], "'");
    header_->tensors.push_back(std::move(tensor_));
    return go(Place::names);
  }
  Status key(std::string_view name) override {
    if (place_ == Place::names) {
      if (!names_.insert(std::string(name)).second) return invalid("the name ", quoted(name), " occurs twice");
      metadata_ = name == "__metadata__";
      tensor_ = {};
      tensor_.name = name;
      return go(Place::name);
    }
    if (place_ == Place::metadata) {
      metadata_key_ = name;
      return go(Place::metadata_value);
    }
    for (size_t f = 0; f < 3; ++f) {
      if (name != kFields[f]) continue;
      if (std::exchange(seen_[f], true)) return invalid("tensor ", quoted(tensor_.name), " has '", name, "' twice");
      return go(f == 0 ? Place::dtype : f == 1 ? Place::before_shape : Place::before_offsets);
    }
    return invalid("tensor ", quoted(tensor_.name), " has a field ", quoted(name),
                   ", expected dtype, shape and data_offsets");
  }
  Status string(std::string_view value) override {
    if (place_ == Place::metadata_value) {
      header_->metadata.insert_or_assign(metadata_key_, std::string(value));
      return go(Place::metadata);
    }
    if (place_ != Place::dtype) return unexpected("a string");
    tensor_.dtype = value;
    return go(Place::fields);
  }
  Status begin_array() override {
    if (place_ == Place::before_shape) return go(Place::shape);
    if (place_ == Place::before_offsets) return offsets_ = 0, go(Place::offsets);
    return unexpected("a list");
  }
  Status end_array() override {
    if (place_ == Place::offsets && offsets_ != 2)
      return invalid("tensor ", quoted(tensor_.name), " has ", offsets_, " data_offsets, expected 2");
    return go(Place::fields);
  }
  Status number(std::string_view digits) override {
    if (place_ != Place::shape && place_ != Place::offsets) return unexpected("a number");
    int64_t value = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size() || value < 0)
      return invalid("tensor ", quoted(tensor_.name), " has ", printable(digits, 40), " in ",
                     place_ == Place::shape ? "shape" : "data_offsets", ", expected a whole number from 0 to 2^63 - 1");
    if (place_ == Place::shape) {
      if (tensor_.shape.size() == kMostDimensions)
        return invalid("tensor ", quoted(tensor_.name), " has more than ", kMostDimensions, " dimensions");
      tensor_.shape.push_back(value);
    } else {
      if (offsets_ < 2) (offsets_ == 0 ? tensor_.begin : tensor_.end) = value;
      ++offsets_;
    }
    return {};
  }
  Status boolean(bool value) override { return unexpected(value ? "true" : "false"); }
  Status null() override {  // the reference implementation takes "__metadata__": null for none
    return place_ == Place::name && metadata_ ? go(Place::names) : unexpected("null");
  }

 private:
  static constexpr std::string_view kFields[] = {"dtype", "shape", "data_offsets"};
  enum class Place {
    start,
    names,
    name,
    fields,
    dtype,
    before_shape,
    shape,
    before_offsets,
    offsets,
    metadata,
    metadata_value,
    end
  };
  Status go(Place place) {
    place_ = place;
    return {};
  }
  Status unexpected(std::string_view found) const {
    switch (place_) {
      case Place::start:
        return invalid("is ", found, ", expected an object of tensors");
      case Place::name:
        return invalid("tensor ", quoted(tensor_.name), " is ", found, ", expected an object");
      case Place::metadata_value:
        return invalid("__metadata__ has ", found, " for ", quoted(metadata_key_), ", expected a string");
      case Place::dtype:
        return invalid("tensor ", quoted(tensor_.name), " has ", found, " as dtype, expected a string");
      default:
        return invalid("tensor ", quoted(tensor_.name), " has ", found, " in its shape or data_offsets",
                       ", expected a list of whole numbers");
    }
  }

  SafetensorsHeader* header_;
  Place place_ = Place::start;
  bool metadata_ = false;
  std::set<std::string> names_;
  std::string metadata_key_;
  SafetensorsTensor tensor_;
  std::array<bool, 3> seen_{};
  int64_t offsets_ = 0;
};

Status check_size(const SafetensorsTensor& tensor) {
  const auto* type =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return t.first == tensor.dtype; });
  if (type == std::end(kTypes))
    return invalid("tensor ", quoted(tensor.name), " has the unknown dtype ", quoted(tensor.dtype));
  // 64 bits for each element at least, so that no later size in bytes, bits or F64 overflows either.
  int64_t elements = 1;
  const bool empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
  for (int64_t size : tensor.shape)
    if (__builtin_mul_overflow(elements, std::max<int64_t>(size, 1), &elements) ||
        elements > std::numeric_limits<int64_t>::max() / 64)
      return invalid("tensor ", quoted(tensor.name), " has a shape whose product is beyond 2^57");
  if (empty) elements = 0;
  const int64_t bits = elements * type->second;
  if (bits % 8 != 0) return invalid("tensor ", quoted(tensor.name), " does not fill whole bytes");
  if (tensor.end < tensor.begin)
    return invalid("tensor ", quoted(tensor.name), " ends at ", tensor.end, ", before it begins at ", tensor.begin);
  if (tensor.end - tensor.begin != bits / 8)
    return invalid("tensor ", quoted(tensor.name), " has ", tensor.end - tensor.begin,
                   " bytes, its dtype and shape need ", bits / 8);
  return {};
}

}  // namespace

std::optional<int64_t> safetensors_bits(std::string_view dtype) noexcept {
  for (const auto& [word, bits] : kTypes)
    if (word == dtype) return bits;
  return std::nullopt;
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, std::string_view what) {
  SafetensorsHeader header;
  Reader reader(&header);
  TARE_RETURN_IF_ERROR(read_json(json, text(what, " header"), {.depth = 4}, reader));
  std::sort(header.tensors.begin(), header.tensors.end(), [](const auto& a, const auto& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  const SafetensorsTensor* before = nullptr;
  for (const SafetensorsTensor& tensor : header.tensors) {
    TARE_RETURN_IF_ERROR(check_size(tensor).in(what));
    if (tensor.begin < header.data_bytes)
      return invalid(what, ": tensors ", quoted(before->name), " and ", quoted(tensor.name), " overlap at byte ",
                     tensor.begin);
    if (tensor.begin > header.data_bytes)
      return invalid(what, ": ", tensor.begin - header.data_bytes, " bytes before tensor ", quoted(tensor.name),
                     " belong to none");
    header.data_bytes = tensor.end;
    before = &tensor;
  }
  return header;
}

}  // namespace tare
