#include "tests/golden/support/golden.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <limits>

#include "tests/golden/support/safetensors.hpp"

namespace tare::golden {
namespace fs = std::filesystem;
namespace json = boost::json;

std::vector<std::string> case_names(const fs::path& models) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(models)) {
    if (fs::exists(entry.path() / "golden.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::vector<float>> read_tensor(const fs::path& file, std::string_view name) {
  TARE_ASSIGN_OR_RETURN(const auto tensors, read_safetensors(file));
  for (const StoredTensor& tensor : tensors) {
    if (tensor.name == name) return as_f32(tensor);
  }
  return failure(Code::not_found, file.string(), " has no tensor ", name);
}

Result<GoldenCase> read_case(const fs::path& folder) {
  TARE_ASSIGN_OR_RETURN(const std::string record, read_file(folder / "golden.json"));
  GoldenCase result;
  bool has_bf16 = false;
  try {
    const json::value value = json::parse(record);
    result.name = json::value_to<std::string>(value.at("case"));
    result.weights_dtype = json::value_to<std::string>(value.at("weights_dtype"));
    result.prompt = json::value_to<std::vector<int32_t>>(value.at("prompt_tokens"));
    result.decode = json::value_to<std::vector<int32_t>>(value.at("decode_tokens"));
    result.decode_is_greedy = value.at("decode_is_greedy").as_bool();
    has_bf16 = value.at("runs").as_object().contains("bfloat16");
  } catch (const std::exception& e) {
    return failure(Code::corrupt, (folder / "golden.json").string(), ": ", e.what());
  }
  TARE_ASSIGN_OR_RETURN(result.logits, read_tensor(folder / "golden.safetensors", "logits.float32"));
  if (has_bf16) {
    TARE_ASSIGN_OR_RETURN(result.logits_bf16, read_tensor(folder / "golden.safetensors", "logits.bfloat16"));
  }
  result.vocab = static_cast<int64_t>(result.logits.size() / (result.prompt.size() + result.decode.size()));
  return result;
}

namespace {

Status widen_weights(const fs::path& from, const fs::path& to) {
  TARE_ASSIGN_OR_RETURN(auto tensors, read_safetensors(from));
  for (StoredTensor& tensor : tensors) {
    TARE_ASSIGN_OR_RETURN(const std::vector<float> values, as_f32(tensor));
    tensor.dtype = "F32";
    tensor.bytes.assign(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  }
  return write_safetensors(to, tensors);
}

Status widen_config(const fs::path& from, const fs::path& to) {
  TARE_ASSIGN_OR_RETURN(const std::string text, read_file(from));
  boost::system::error_code error;
  json::value config = json::parse(text, error);
  if (error || !config.is_object()) return failure(Code::corrupt, from.string(), " is no JSON object");
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (config.as_object().contains(key)) config.as_object()[key] = "float32";
  }
  return write_file(to, json::serialize(config));
}

bool is_weights(const fs::path& file) {
  return file.extension() == ".safetensors" && file.filename().string().starts_with("model");
}

}  // namespace

Status widen_to_f32(const fs::path& folder, const fs::path& target) {
  std::error_code error;
  fs::create_directories(target, error);
  if (error) return failure(Code::unavailable, "cannot make ", target.string(), ": ", error.message());
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& from = entry.path();
    const fs::path to = target / from.filename();
    if (is_weights(from)) {
      TARE_RETURN_IF_ERROR(widen_weights(from, to));
    } else if (from.filename() == "config.json") {
      TARE_RETURN_IF_ERROR(widen_config(from, to));
    } else if (from.extension() != ".gguf") {
      fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
      if (error) return failure(Code::unavailable, "cannot copy ", from.string(), ": ", error.message());
    }
  }
  return {};
}

Comparison compare(std::span<const float> found, std::span<const float> golden, int64_t vocab) {
  Comparison result;
  if (found.size() != golden.size() || golden.empty()) {
    result.distance = std::numeric_limits<double>::infinity();
    result.first_mismatch = text("found ", found.size(), " logits, expected ", golden.size());
    return result;
  }
  double largest = 0, worst = -1;
  const auto width = static_cast<size_t>(vocab);
  for (size_t row = 0; row * width < golden.size(); ++row) {
    const auto wanted = golden.subspan(row * width, width);
    const auto given = found.subspan(row * width, width);
    double row_worst = 0;
    for (size_t token = 0; token < width; ++token) {
      double difference = std::abs(static_cast<double>(given[token]) - static_cast<double>(wanted[token]));
      if (std::isnan(difference)) difference = std::numeric_limits<double>::infinity();
      largest = std::max(largest, std::abs(static_cast<double>(wanted[token])));
      row_worst = std::max(row_worst, difference);
      if (difference > worst) {
        worst = difference;
        result.first_mismatch = text("row ", row, ", token ", token, ": ", given[token], ", expected ", wanted[token]);
      }
    }
    const auto first = std::max_element(wanted.begin(), wanted.end()) - wanted.begin();
    const auto chosen = std::max_element(given.begin(), given.end()) - given.begin();
    if (first == chosen) continue;
    ++result.flips;
    const double gap = wanted[static_cast<size_t>(first)] - wanted[static_cast<size_t>(chosen)];
    if (gap >= 2 * row_worst) ++result.unexplained;
  }
  result.distance = worst / largest;
  return result;
}

}  // namespace tare::golden
