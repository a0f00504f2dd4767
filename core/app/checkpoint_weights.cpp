#include "core/app/checkpoint_weights.hpp"

#include <algorithm>
#include <cstring>

namespace tare {
namespace {

int64_t plain_elements(const Shape& shape) noexcept { return elements(shape); }

// Elements of the stored tensor that the weight's rows come from, when all of it is the weight.
int64_t wanted_elements(const WeightDecl& weight) noexcept {
  const int64_t mine = plain_elements(weight.whole);
  if (weight.part.of == 0) return mine;
  const int64_t outputs = weight.whole.empty() ? 1 : weight.whole.front().size;
  return mine / outputs * weight.part.of;
}

}  // namespace

Status CheckpointWeights::check(const WeightDecl& weight) const {
  const StoredTensor* tensor = source_.find(weight.name);
  if (tensor == nullptr) {
    const std::string near = source_.nearest(weight.name);
    return failure(Code::not_found, "the checkpoint has no tensor '", weight.name, "' of shape ",
                   to_string(weight.whole), weight.where.empty() ? "" : " (" + weight.where + ")",
                   near.empty() ? "" : "; the nearest name is '" + near + "'");
  }
  if (!tensor->dtype)
    return failure(Code::unsupported, "tensor ", to_string(*tensor), " is stored in a type that cannot be read");
  if (tensor->elements() != wanted_elements(weight))
    return invalid("tensor ", to_string(*tensor), " has ", tensor->elements(), " elements, expected ",
                   wanted_elements(weight), " for ", to_string(weight.whole));
  // The dimensions may be joined ([heads, 128, hidden] is stored as [heads*128, hidden]), never cut elsewhere.
  if (!tensor->shape.empty() && !weight.whole.empty() && weight.part == Part{}) {
    int64_t joined = 1;
    size_t at = 0;
    for (int64_t size : tensor->shape) {
      while (at < weight.whole.size() && joined < size) joined *= weight.whole[at++].size;
      if (joined % size != 0)
        return invalid("tensor ", to_string(*tensor), ", expected the shape ", to_string(weight.whole));
      joined /= size;
    }
  }
  return {};
}

Status CheckpointWeights::read(const WeightDecl& weight, const WeightInfo& info, int64_t row_begin, int64_t row_end,
                               void* out) const {
  const StoredTensor* tensor = source_.find(weight.name);
  if (tensor == nullptr) return failure(Code::not_found, "the checkpoint has no tensor '", weight.name, "'");
  if (weight.part != Part{})
    return failure(Code::unsupported, "tensor '", weight.name, "': weights that are part of a tensor are not read yet");
  const int64_t row = info.inputs(), stored_row = std::max<int64_t>(1, tensor->row_elements());
  auto bytes = static_cast<size_t>((row_end - row_begin) * row * size_of(info.dtype));
  auto* to = static_cast<std::byte*>(out);
  if (row % stored_row == 0)  // whole stored rows
    return source_.read(*tensor, row_begin * (row / stored_row), row_end * (row / stored_row), info.dtype, {to, bytes});
  // Our rows are parts of stored ones (a bias of [heads, 128] stored as one row): read what covers them, take the
  // middle.
  const int64_t first = row_begin * row / stored_row, last = (row_end * row + stored_row - 1) / stored_row;
  std::vector<std::byte> cover(static_cast<size_t>((last - first) * stored_row * size_of(info.dtype)));
  TARE_RETURN_IF_ERROR(source_.read(*tensor, first, last, info.dtype, cover));
  std::memcpy(to, cover.data() + (row_begin * row - first * stored_row) * size_of(info.dtype), bytes);
  return {};
}

std::unique_ptr<CodedTiles> CheckpointWeights::coded(const WeightDecl& weight, const WeightInfo& info) const {
  const StoredTensor* tensor = source_.find(weight.name);
  const bool whole = tensor != nullptr && weight.part == Part{} && tensor->dtype == info.dtype &&
                     tensor->elements() == info.outputs() * info.inputs();
  return whole ? source_.coded(*tensor) : nullptr;
}

int64_t CheckpointWeights::row_granule(const WeightDecl& weight, const WeightInfo& info) const noexcept {
  const StoredTensor* tensor = source_.find(weight.name);
  // Rows of ours that are no stored rows have no granule of theirs.
  return tensor != nullptr && tensor->row_elements() == info.inputs() ? source_.row_granule(*tensor) : 1;
}

Result<std::optional<LaidOutWeight>> CheckpointWeights::laid_out(const WeightDecl& weight,
                                                                 const WeightInfo& info) const {
  const StoredTensor* tensor = source_.find(weight.name);
  auto out = tensor != nullptr ? source_.laid_out(*tensor) : std::nullopt;
  if (!out) return std::optional<LaidOutWeight>();
  // The same matrix: its last dimensions are a row, as they are of the program's weight.
  int64_t outputs = 1;
  for (size_t i = 0; i + static_cast<size_t>(out->input_dims) < tensor->shape.size(); ++i) outputs *= tensor->shape[i];
  if (tensor->dtype != info.dtype || outputs != info.outputs() || weight.part != Part{})
    return failure(Code::unsupported, "tensor ", to_string(*tensor), " lies as ", out->layout, " in ", outputs,
                   " rows, this version of the model wants ", info.outputs(), " of ", name(info.dtype),
                   ": pack it again");
  return out;
}

}  // namespace tare
