#include "core/bundle/gguf_file.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <set>

#include "core/base/printable.hpp"

namespace tare {
namespace {

// ggml's types by number (enum ggml_type and type_traits in ggml.c of ggml-org/llama.cpp). Those that are not read are
// listed so that they can be named and their place in the file checked. Gaps are types that were withdrawn.
struct Type {
  uint32_t number;
  std::string_view name;
  int32_t block_elements, block_bytes;
  std::optional<Storage> storage;
};
constexpr Type kTypes[] = {
    {0, "F32", 1, 4, Storage::f32},
    {1, "F16", 1, 2, Storage::f16},
    {2, "Q4_0", 32, 18, Storage::q4_0},
    {3, "Q4_1", 32, 20, Storage::q4_1},
    {6, "Q5_0", 32, 22, {}},
    {7, "Q5_1", 32, 24, {}},
    {8, "Q8_0", 32, 34, Storage::q8_0},
    {9, "Q8_1", 32, 36, {}},
    {10, "Q2_K", 256, 84, {}},
    {11, "Q3_K", 256, 110, {}},
    {12, "Q4_K", 256, 144, {}},
    {13, "Q5_K", 256, 176, {}},
    {14, "Q6_K", 256, 210, {}},
    {15, "Q8_K", 256, 292, {}},
    {16, "IQ2_XXS", 256, 66, {}},
    {17, "IQ2_XS", 256, 74, {}},
    {18, "IQ3_XXS", 256, 98, {}},
    {19, "IQ1_S", 256, 50, {}},
    {20, "IQ4_NL", 32, 18, {}},
    {21, "IQ3_S", 256, 110, {}},
    {22, "IQ2_S", 256, 82, {}},
    {23, "IQ4_XS", 256, 136, {}},
    {24, "I8", 1, 1, {}},
    {25, "I16", 1, 2, {}},
    {26, "I32", 1, 4, Storage::i32},
    {27, "I64", 1, 8, Storage::i64},
    {28, "F64", 1, 8, {}},
    {29, "IQ1_M", 256, 56, {}},
    {30, "BF16", 1, 2, Storage::bf16},
    {34, "TQ1_0", 256, 54, {}},
    {35, "TQ2_0", 256, 66, {}},
    {39, "MXFP4", 32, 17, {}},
};

// Far above every real file, and small enough that a hostile one cannot fill the memory.
constexpr uint64_t kMostKeyBytes = 65535, kMostNameBytes = 1024, kMostStringBytes = 64u << 20,
                   kMostListValues = 16u << 20;
constexpr int kMostListDepth = 4;

enum MetadataType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, list, u64, i64, f64, kTypeCount };
constexpr std::array<uint64_t, kTypeCount> kLeastBytes = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

std::string quoted(std::string_view name) { return "'" + printable(name, 120) + "'"; }

// Reads forwards through a window, so that neither the size of the file nor of what it claims matters.
class Cursor {
 public:
  explicit Cursor(const File& file) : file_(file) {}
  int64_t position() const noexcept { return window_begin_ + static_cast<int64_t>(at_); }
  uint64_t left() const noexcept { return static_cast<uint64_t>(file_.bytes() - position()); }
  Status take(void* to, size_t bytes, std::string_view what) {
    if (bytes > left()) return invalid(file_.path(), ": is truncated: its ", file_.bytes(), " bytes end inside ", what);
    auto* out = static_cast<std::byte*>(to);
    while (bytes > 0) {
      if (at_ == window_.size()) {
        window_begin_ = position();
        window_.resize(static_cast<size_t>(std::min<uint64_t>(left_at(window_begin_), 1u << 18)));
        at_ = 0;
        TARE_RETURN_IF_ERROR(file_.read(window_begin_, window_));
      }
      const size_t piece = std::min(bytes, window_.size() - at_);
      std::memcpy(out, window_.data() + at_, piece);
      at_ += piece, out += piece, bytes -= piece;
    }
    return {};
  }
  template <class T>
  Status take(T* value, std::string_view what) {
    return take(value, sizeof *value, what);
  }
  Status take_string(std::string* out, uint64_t most, std::string_view what) {
    uint64_t length = 0;
    TARE_RETURN_IF_ERROR(take(&length, what));
    if (length > left() || length > most)
      return invalid(file_.path(), ": ", what, " claims a string of ", length, " bytes; ", left(),
                     " bytes of the file are left, at most ", most, " are accepted");
    out->resize(static_cast<size_t>(length));
    return take(out->data(), out->size(), what);
  }

 private:
  uint64_t left_at(int64_t position) const noexcept { return static_cast<uint64_t>(file_.bytes() - position); }
  const File& file_;
  int64_t window_begin_ = 0;
  std::vector<std::byte> window_;
  size_t at_ = 0;
};

class Reader {
 public:
  explicit Reader(std::shared_ptr<const File> file) : cursor_(*file), path_(file->path()) {
    gguf_.file = std::move(file);
  }
  Result<GgufFile> read() {
    uint64_t tensor_count = 0, value_count = 0;
    TARE_RETURN_IF_ERROR(read_preamble(&tensor_count, &value_count));
    for (uint64_t i = 0; i < value_count; ++i) TARE_RETURN_IF_ERROR(read_value());
    TARE_RETURN_IF_ERROR(read_alignment());
    for (uint64_t i = 0; i < tensor_count; ++i) TARE_RETURN_IF_ERROR(read_tensor());
    TARE_RETURN_IF_ERROR(place_tensors());
    return std::move(gguf_);
  }

 private:
  Status read_preamble(uint64_t* tensor_count, uint64_t* value_count) {
    char magic[4] = {};
    TARE_RETURN_IF_ERROR(cursor_.take(&magic, "the first 4 bytes"));
    if (std::string_view(magic, 4) != "GGUF")
      return invalid(path_, ": begins with ", quoted({magic, 4}), ", a GGUF file begins with 'GGUF'");
    TARE_RETURN_IF_ERROR(cursor_.take(&gguf_.version, "the version"));
    if ((gguf_.version & 0xffffu) == 0 && gguf_.version != 0)
      return failure(Code::unsupported, path_, ": is a big-endian GGUF file, only little-endian ones are read");
    if (gguf_.version != 2 && gguf_.version != 3)
      return failure(Code::unsupported, path_, ": is GGUF version ", gguf_.version, ", versions 2 and 3 are read");
    TARE_RETURN_IF_ERROR(cursor_.take(tensor_count, "the count of tensors"));
    TARE_RETURN_IF_ERROR(cursor_.take(value_count, "the count of metadata"));
    constexpr uint64_t kLeastTensor = 8 + 4 + 8 + 4 + 8, kLeastValue = 8 + 4 + 1;
    if (*tensor_count > cursor_.left() / kLeastTensor || *value_count > cursor_.left() / kLeastValue)
      return invalid(path_, ": claims ", *tensor_count, " tensors and ", *value_count,
                     " metadata values, more than its ", gguf_.file->bytes(), " bytes can hold");
    return {};
  }

  Status read_value() {
    std::string key;
    TARE_RETURN_IF_ERROR(cursor_.take_string(&key, kMostKeyBytes, "a metadata key"));
    const std::string what = "metadata " + quoted(key);
    uint32_t type = 0;
    TARE_RETURN_IF_ERROR(cursor_.take(&type, what));
    GgufValue value;
    if (type == list) {
      GgufList values;
      TARE_RETURN_IF_ERROR(read_list(what, 1, &values));
      value = std::move(values);
    } else if (type == string) {
      TARE_RETURN_IF_ERROR(cursor_.take_string(&value.emplace<std::string>(), kMostStringBytes, what));
    } else {
      TARE_RETURN_IF_ERROR(read_scalar(what, type, &value));
    }
    if (!gguf_.metadata.emplace(key, std::move(value)).second) return invalid(path_, ": ", what, " occurs twice");
    return {};
  }
  template <class Stored, class Kept>
  Status scalar(std::string_view what, GgufValue* value) {
    Stored stored{};
    TARE_RETURN_IF_ERROR(cursor_.take(&stored, what));
    *value = static_cast<Kept>(stored);
    return {};
  }
  Status read_scalar(std::string_view what, uint32_t type, GgufValue* value) {
    switch (type) {
      case u8:
        return scalar<uint8_t, uint64_t>(what, value);
      case i8:
        return scalar<int8_t, int64_t>(what, value);
      case u16:
        return scalar<uint16_t, uint64_t>(what, value);
      case i16:
        return scalar<int16_t, int64_t>(what, value);
      case u32:
        return scalar<uint32_t, uint64_t>(what, value);
      case i32:
        return scalar<int32_t, int64_t>(what, value);
      case u64:
        return scalar<uint64_t, uint64_t>(what, value);
      case i64:
        return scalar<int64_t, int64_t>(what, value);
      case f32:
        return scalar<float, float>(what, value);
      case f64:
        return scalar<double, double>(what, value);
      case boolean:
        return scalar<uint8_t, bool>(what, value);
      default:
        return invalid(path_, ": ", what, " has the unknown type ", type);
    }
  }
  Status read_list(const std::string& what, int depth, GgufList* out) {
    uint32_t type = 0;
    uint64_t count = 0;
    TARE_RETURN_IF_ERROR(cursor_.take(&type, what));
    TARE_RETURN_IF_ERROR(cursor_.take(&count, what));
    if (type >= kTypeCount) return invalid(path_, ": ", what, " is a list of the unknown type ", type);
    if (count > cursor_.left() / kLeastBytes[type])
      return invalid(path_, ": ", what, " claims a list of ", count, " values; ", cursor_.left(),
                     " bytes of the file are left");
    list_values_ += count;
    if (list_values_ > kMostListValues)
      return failure(Code::exhausted, path_, ": its metadata lists have more than ", kMostListValues, " values");
    if (type == list) {
      if (depth == kMostListDepth) return invalid(path_, ": ", what, " nests lists deeper than ", kMostListDepth);
      GgufList inner;  // nothing that is read has lists of lists
      for (uint64_t i = 0; i < count; ++i) TARE_RETURN_IF_ERROR(read_list(what, depth + 1, &inner));
      return {};
    }
    for (uint64_t i = 0; i < count; ++i) {
      if (type == string) {
        TARE_RETURN_IF_ERROR(cursor_.take_string(&out->strings.emplace_back(), kMostStringBytes, what));
        continue;
      }
      GgufValue value;
      TARE_RETURN_IF_ERROR(read_scalar(what, type, &value));
      out->numbers.push_back(std::visit(
          [](const auto& v) {
            if constexpr (std::is_arithmetic_v<std::decay_t<decltype(v)>>) return static_cast<double>(v);
            return 0.0;
          },
          value));
    }
    return {};
  }

  Status read_alignment() {
    const auto at = gguf_.metadata.find("general.alignment");
    if (at == gguf_.metadata.end()) return {};
    const auto value = gguf_.integer("general.alignment");
    if (!value || *value < 1 || *value > (1 << 24) || (*value & (*value - 1)) != 0)
      return invalid(path_, ": general.alignment is ", value ? std::to_string(*value) : "no whole number",
                     ", expected a power of two up to 2^24");
    alignment_ = *value;
    return {};
  }

  Status read_tensor() {
    GgufTensorEntry tensor;
    TARE_RETURN_IF_ERROR(cursor_.take_string(&tensor.name, kMostNameBytes, "a tensor's name"));
    const std::string what = "tensor " + quoted(tensor.name);
    if (!names_.insert(tensor.name).second) return invalid(path_, ": ", what, " occurs twice");
    uint32_t dimensions = 0, number = 0;
    TARE_RETURN_IF_ERROR(cursor_.take(&dimensions, what));
    if (dimensions < 1 || dimensions > 4)
      return invalid(path_, ": ", what, " has ", dimensions, " dimensions, expected 1 to 4");
    int64_t elements = 1;
    for (uint32_t i = 0; i < dimensions; ++i) {
      uint64_t size = 0;
      TARE_RETURN_IF_ERROR(cursor_.take(&size, what));
      if (size < 1 || size > uint64_t{1} << 57 ||
          __builtin_mul_overflow(elements, static_cast<int64_t>(size), &elements) || elements > int64_t{1} << 57)
        return invalid(path_, ": ", what, " has the size ", size, " in dimension ", i,
                       ", expected at least 1 and a product up to 2^57");
      tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
    }
    uint64_t offset = 0;
    TARE_RETURN_IF_ERROR(cursor_.take(&number, what));
    TARE_RETURN_IF_ERROR(cursor_.take(&offset, what));
    if (offset % static_cast<uint64_t>(alignment_) != 0 || offset > static_cast<uint64_t>(gguf_.file->bytes()))
      return invalid(path_, ": ", what, " begins at offset ", offset, ", expected a multiple of ", alignment_,
                     " inside the file's ", gguf_.file->bytes(), " bytes");
    tensor.offset = static_cast<int64_t>(offset);
    const auto* type =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& t) { return t.number == number; });
    if (type == std::end(kTypes)) {
      tensor.type = text("type ", number);
    } else {
      tensor.type = type->name;
      tensor.storage = type->storage;
      if (tensor.shape.back() % type->block_elements != 0)
        return invalid(path_, ": ", what, " has rows of ", tensor.shape.back(), " elements, ", type->name,
                       " needs a multiple of ", type->block_elements);
      if (dimensions == 1 && type->block_elements > 1 && tensor.storage) tensor.storage.reset();  // rows of one element
      tensor.bytes = elements / type->block_elements * type->block_bytes;
    }
    gguf_.tensors.push_back(std::move(tensor));
    return {};
  }

  Status place_tensors() {
    const int64_t begin = (cursor_.position() + alignment_ - 1) / alignment_ * alignment_;
    std::vector<const GgufTensorEntry*> order;
    int64_t end = begin;
    for (GgufTensorEntry& tensor : gguf_.tensors) {
      tensor.offset += begin;
      end = std::max(end, tensor.offset + tensor.bytes);
      order.push_back(&tensor);
    }
    if (!gguf_.tensors.empty() && end > gguf_.file->bytes())
      return invalid(path_, ": is truncated: it has ", gguf_.file->bytes(), " bytes, its header describes ", end);
    std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
    for (size_t i = 1; i < order.size(); ++i)
      if (order[i]->offset < order[i - 1]->offset + order[i - 1]->bytes)
        return invalid(path_, ": tensors ", quoted(order[i - 1]->name), " and ", quoted(order[i]->name),
                       " overlap at byte ", order[i]->offset);
    return {};
  }

  Cursor cursor_;
  std::string path_;
  GgufFile gguf_;
  int64_t alignment_ = 32;
  uint64_t list_values_ = 0;
  std::set<std::string> names_;
};

}  // namespace

std::optional<std::string> GgufFile::string(std::string_view key) const {
  const auto at = metadata.find(key);
  const auto* value = at == metadata.end() ? nullptr : std::get_if<std::string>(&at->second);
  return value == nullptr ? std::nullopt : std::optional(*value);
}
std::optional<int64_t> GgufFile::integer(std::string_view key) const {
  const auto at = metadata.find(key);
  if (at == metadata.end()) return std::nullopt;
  if (const auto* value = std::get_if<int64_t>(&at->second)) return *value;
  const auto* value = std::get_if<uint64_t>(&at->second);
  if (value == nullptr || *value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return static_cast<int64_t>(*value);
}
std::optional<bool> GgufFile::flag(std::string_view key) const {
  const auto at = metadata.find(key);
  const auto* value = at == metadata.end() ? nullptr : std::get_if<bool>(&at->second);
  return value == nullptr ? std::nullopt : std::optional(*value);
}
const GgufList* GgufFile::list(std::string_view key) const {
  const auto at = metadata.find(key);
  return at == metadata.end() ? nullptr : std::get_if<GgufList>(&at->second);
}

Result<GgufFile> read_gguf(std::shared_ptr<const File> file) { return Reader(std::move(file)).read(); }

}  // namespace tare
