#include "tests/golden/support/safetensors.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cstring>
#include <fstream>

#include "core/api/dtype.hpp"

namespace tare::golden {
namespace json = boost::json;

Result<std::string> read_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return failure(Code::not_found, "cannot open ", file.string());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

Status write_file(const std::filesystem::path& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  return out ? Status() : failure(Code::unavailable, "cannot write ", file.string());
}

namespace {

uint64_t little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

}  // namespace

Result<std::vector<StoredTensor>> read_safetensors(const std::filesystem::path& file) {
  TARE_ASSIGN_OR_RETURN(const std::string bytes, read_file(file));
  const uint64_t header_bytes = little_endian(std::string_view(bytes).substr(0, 8));
  if (bytes.size() < 8 || header_bytes > bytes.size() - 8) {
    return failure(Code::corrupt, file.string(), " is no safetensors file");
  }
  const std::string_view data = std::string_view(bytes).substr(8 + header_bytes);
  std::vector<StoredTensor> tensors;
  try {
    const json::value header = json::parse(std::string_view(bytes).substr(8, header_bytes));
    for (const auto& [name, entry] : header.as_object()) {
      if (name == "__metadata__") continue;
      const auto offsets = json::value_to<std::vector<uint64_t>>(entry.at("data_offsets"));
      tensors.push_back({std::string(name), json::value_to<std::string>(entry.at("dtype")),
                         json::value_to<std::vector<int64_t>>(entry.at("shape")),
                         std::string(data.substr(offsets.at(0), offsets.at(1) - offsets.at(0)))});
    }
  } catch (const std::exception& e) {
    return failure(Code::corrupt, file.string(), ": ", e.what());
  }
  return tensors;
}

Status write_safetensors(const std::filesystem::path& file, const std::vector<StoredTensor>& tensors) {
  json::object header{{"__metadata__", {{"format", "pt"}}}};
  uint64_t end = 0;
  for (const StoredTensor& tensor : tensors) {
    const uint64_t begin = end;
    end += tensor.bytes.size();
    header[tensor.name] = {
        {"dtype", tensor.dtype}, {"shape", json::value_from(tensor.shape)}, {"data_offsets", json::array{begin, end}}};
  }
  std::string text = json::serialize(header);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t header_bytes = text.size();
  std::string out(8, '\0');
  std::memcpy(out.data(), &header_bytes, 8);
  out += text;
  for (const StoredTensor& tensor : tensors) out += tensor.bytes;
  return write_file(file, out);
}

namespace {

template <class T>
std::vector<float> widen(const std::string& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  std::vector<float> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [](T value) { return to_float(value); });
  return result;
}

}  // namespace

Result<std::vector<float>> as_f32(const StoredTensor& tensor) {
  if (tensor.dtype == "F32") return widen<float>(tensor.bytes);
  if (tensor.dtype == "BF16") return widen<bf16>(tensor.bytes);
  if (tensor.dtype == "F16") return widen<f16>(tensor.bytes);
  return failure(Code::unsupported, tensor.name, " is ", tensor.dtype, ", expected F32, BF16 or F16");
}

}  // namespace tare::golden
