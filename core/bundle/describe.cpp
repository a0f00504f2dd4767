#include "core/bundle/describe.hpp"

#include <algorithm>
#include <map>

namespace tare {
namespace {

// Values of narrowed vectors, and how many of them BF16 cannot hold.
Status count_rounded(const WeightSource& weights, int64_t* values, int64_t* rounded) {
  constexpr int64_t kMostElements = 1 << 20;  // norms and biases
  for (const StoredTensor& t : weights.tensors()) {
    if (t.dtype != DType::bf16 || t.stored == "BF16" || t.expanded || t.elements() > kMostElements) continue;
    std::vector<float> exact(static_cast<size_t>(t.elements()));
    TARE_RETURN_IF_ERROR(weights.read(t, 0, t.rows(), DType::f32, std::as_writable_bytes(std::span(exact))));
    *values += t.elements();
    *rounded += std::count_if(exact.begin(), exact.end(), [](float v) { return to_float(to_bf16(v)) != v; });
  }
  return {};
}

}  // namespace

Result<CheckpointDescription> describe_checkpoint(const std::string& path,
                                                  std::span<const ModelFamily* const> families) {
  TARE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, open_checkpoint(path, families, {.any_architecture = true}));
  const WeightSource& weights = *checkpoint.weights;
  CheckpointDescription d;
  d.path = path, d.name = checkpoint.name, d.kind = name(checkpoint.kind), d.notes = checkpoint.notes;
  if (const auto at = checkpoint.config.find("architectures.0"); at != checkpoint.config.end())
    if (const auto* architecture = std::get_if<std::string>(&at->second)) d.architecture = *architecture;
  if (const auto& gguf = checkpoint.text.gguf)
    d.tokenizer = "GGUF (" + gguf->model + (gguf->pre.empty() ? "" : ", " + gguf->pre) + ")";
  else if (!checkpoint.text.tokenizer_json.empty())
    d.tokenizer = "tokenizer.json";
  d.has_chat_template = !checkpoint.text.chat_template.empty() ||
                        checkpoint.text.tokenizer_config_json.find("\"chat_template\"") != std::string::npos;
  std::map<std::pair<std::string, std::string>, CheckpointDescription::Type> types;
  for (const StoredTensor& t : weights.tensors()) {
    const std::string presented(t.dtype ? name(*t.dtype) : "");
    auto& type = types[{t.stored, presented}];
    type.stored = t.stored, type.presented = presented;
    ++type.tensors;
    type.elements += t.elements(), type.stored_bytes += t.stored_bytes, type.presented_bytes += t.bytes();
    d.parameters += t.elements();
    d.expands |= t.expanded;
  }
  for (auto& [key, type] : types) d.types.push_back(std::move(type));
  std::stable_sort(d.types.begin(), d.types.end(),
                   [](const auto& a, const auto& b) { return a.elements > b.elements; });
  d.stored_bytes = stored_bytes(weights), d.presented_bytes = presented_bytes(weights);
  int64_t values = 0, rounded = 0;
  TARE_RETURN_IF_ERROR(count_rounded(weights, &values, &rounded));
  if (values > 0)
    d.notes.push_back(rounded == 0 ? text("BF16 holds all ", values, " values of those vectors exactly")
                                   : text("of the ", values, " values of those vectors, ", rounded, " are rounded"));
  d.tensors = weights.tensors();
  return d;
}

}  // namespace tare
