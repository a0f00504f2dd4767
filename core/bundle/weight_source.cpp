#include "core/bundle/weight_source.hpp"

#include <algorithm>

#include "core/base/nearest.hpp"
#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/base/sha256.hpp"
#include "core/bundle/coded_tiles.hpp"

namespace tare {

int64_t StoredTensor::elements() const noexcept {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return count;
}
std::string to_string(const StoredTensor& info) {
  std::string out = text("'", printable(info.name, 120), "' ", info.stored, " [");
  for (size_t i = 0; i < info.shape.size(); ++i) out += text(i > 0 ? ", " : "", info.shape[i]);
  return out + "]";
}

void WeightSource::set_tensors(std::vector<StoredTensor> tensors) {
  std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  tensors_ = std::move(tensors);
}
const StoredTensor* WeightSource::find(std::string_view name) const noexcept {
  const auto at = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                   [](const StoredTensor& info, std::string_view n) { return info.name < n; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}
std::string WeightSource::nearest(std::string_view name) const {
  std::vector<std::string> names;
  for (const StoredTensor& info : tensors_) names.push_back(info.name);
  return nearest_name(name, names);
}

std::unique_ptr<CodedTiles> WeightSource::coded(const StoredTensor&) const { return nullptr; }

Status WeightSource::read(const StoredTensor& tensor, int64_t begin, int64_t end, DType as,
                          std::span<std::byte> out) const {
  if (!tensor.dtype)
    return failure(Code::unsupported, "tensor ", to_string(tensor), " in ", tensor.file, " is stored as ",
                   tensor.stored, ", which cannot be read");
  const bool convertible = as == DType::bf16 || as == DType::f32;
  const bool number = *tensor.dtype <= DType::f32;
  if (as != *tensor.dtype && !(convertible && number))
    return failure(Code::unsupported, "tensor ", to_string(tensor), " in ", tensor.file, " cannot be converted to ",
                   name(as));
  if (begin < 0 || end < begin || end > tensor.rows())
    return failure(Code::internal, "tensor ", to_string(tensor), ": rows ", begin, " to ", end, " were asked for");
  const int64_t bytes = (end - begin) * tensor.row_elements() * size_of(as);
  if (static_cast<int64_t>(out.size()) != bytes)
    return failure(Code::internal, "tensor ", to_string(tensor), ": the buffer has ", out.size(), " bytes, expected ",
                   bytes);
  if (bytes == 0) return {};
  return read_rows(tensor, begin, end, as, out);
}

int64_t presented_bytes(const WeightSource& source) noexcept {
  int64_t bytes = 0;
  for (const StoredTensor& info : source.tensors()) bytes += info.bytes();
  return bytes;
}
int64_t stored_bytes(const WeightSource& source) noexcept {
  int64_t bytes = 0;
  for (const StoredTensor& info : source.tensors()) bytes += info.stored_bytes;
  return bytes;
}
Status check_budget(const WeightSource& source, std::string_view what, int64_t budget_bytes) {
  const int64_t stored = stored_bytes(source);
  int64_t bytes = 0;  // of those that lie as a device has them, in that layout
  for (const StoredTensor& t : source.tensors()) bytes += source.laid_out(t) ? t.stored_bytes : t.bytes();
  if (bytes <= budget_bytes) return {};
  const bool expanded =
      std::any_of(source.tensors().begin(), source.tensors().end(), [](const auto& t) { return t.expanded; });
  return failure(Code::exhausted, what, ": its weights take ", bytes, " bytes (", human_bytes(bytes), ")",
                 expanded ? text(" once expanded from ", human_bytes(stored), " of quantised storage") : "",
                 ", the memory budget is ", budget_bytes, " bytes (", human_bytes(budget_bytes), ")");
}

Status check_readable(const WeightSource& source, std::string_view what) {
  for (const StoredTensor& tensor : source.tensors())
    if (!tensor.dtype) return source.read(tensor, 0, 0, DType::u8, {}).in(what);
  return {};
}

Result<std::string> sha256_of(const WeightSource& source, const StoredTensor& tensor) {
  Sha256 hash;
  if (!tensor.dtype) return source.read(tensor, 0, 0, DType::u8, {});  // says why it cannot be read
  const int64_t row_bytes = std::max<int64_t>(1, tensor.row_elements() * size_of(*tensor.dtype));
  const int64_t step = std::max<int64_t>(1, (4 << 20) / row_bytes);
  std::vector<std::byte> piece;
  for (int64_t row = 0; row < tensor.rows(); row += step) {
    const int64_t end = std::min(tensor.rows(), row + step);
    piece.resize(static_cast<size_t>((end - row) * tensor.row_elements() * size_of(*tensor.dtype)));
    TARE_RETURN_IF_ERROR(source.read(tensor, row, end, *tensor.dtype, piece));
    hash.add(piece);
  }
  return hash.finish();
}

}  // namespace tare
