#include "core/bundle/gguf_weights.hpp"

#include <algorithm>
#include <array>

#include "core/base/printable.hpp"

namespace tare {
namespace {

struct Place {
  int64_t offset = 0;
  Storage storage = Storage::f32;
  int64_t head_rows = 0;  // above 0: rows were permuted inside each head of so many
  float added = 0;        // was added to every element
};

class GgufWeights final : public WeightSource {
 public:
  GgufWeights(std::shared_ptr<const File> file, std::vector<std::pair<StoredTensor, Place>> tensors)
      : file_(std::move(file)) {
    std::sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) { return a.first.name < b.first.name; });
    std::vector<StoredTensor> infos;
    for (auto& [info, place] : tensors) {
      infos.push_back(std::move(info));
      places_.push_back(place);
    }
    set_tensors(std::move(infos));
  }
  const std::byte* mapped(const StoredTensor& tensor) const noexcept override {
    const std::byte* map = tensor.plain ? file_->map() : nullptr;
    return map == nullptr ? nullptr : map + places_[index_of(tensor)].offset;
  }

 private:
  Status read_rows(const StoredTensor& tensor, int64_t begin, int64_t end, DType as,
                   std::span<std::byte> out) const override {
    const Place& place = places_[index_of(tensor)];
    const StorageTraits& type = traits(place.storage);
    const int64_t row_bytes = tensor.row_elements() / type.block_elements * type.block_bytes;
    if (place.head_rows > 0) return read_permuted(place, row_bytes, begin, end, as, out);
    const bool copy = !is_quantised(place.storage) && as == type.presented && place.added == 0;
    if (copy) return file_->read(place.offset + begin * row_bytes, out);
    // A row of a hostile file may be large; a piece is a whole number of blocks, not of rows.
    const int64_t total = (end - begin) * row_bytes;
    const int64_t piece_blocks = std::max<int64_t>(1, (1 << 20) / type.block_bytes);
    std::vector<std::byte> piece(static_cast<size_t>(std::min(total, piece_blocks * type.block_bytes)));
    for (int64_t done = 0; done < total;) {
      const auto stored =
          std::span(piece).first(static_cast<size_t>(std::min(total - done, static_cast<int64_t>(piece.size()))));
      TARE_RETURN_IF_ERROR(file_->read(place.offset + begin * row_bytes + done, stored));
      done += static_cast<int64_t>(stored.size());
      const size_t bytes = stored.size() / static_cast<size_t>(type.block_bytes) *
                           static_cast<size_t>(type.block_elements) * static_cast<size_t>(size_of(as));
      TARE_RETURN_IF_ERROR(convert(place.storage, stored, as, out.first(bytes), place.added));
      out = out.subspan(bytes);
    }
    return {};
  }
  // llama.cpp's LlamaModel.permute: in a head of d rows, the checkpoint's row s * d/2 + j lies at 2 * j + s.
  Status read_permuted(const Place& place, int64_t row_bytes, int64_t begin, int64_t end, DType as,
                       std::span<std::byte> out) const {
    const int64_t d = place.head_rows, half = d / 2;
    const size_t out_row = out.size() / static_cast<size_t>(end - begin);
    const auto bytes = [](int64_t count) { return static_cast<size_t>(count); };
    // A head at a time while it is of a sane size, else row by row.
    const bool whole = d * row_bytes <= (16 << 20);
    std::vector<std::byte> stored(bytes(whole ? d * row_bytes : row_bytes));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t head = row / d, in_head = row % d, from = 2 * (in_head % half) + in_head / half;
      const int64_t head_offset = place.offset + head * d * row_bytes;
      if (whole && (row == begin || in_head == 0)) TARE_RETURN_IF_ERROR(file_->read(head_offset, stored));
      if (!whole) TARE_RETURN_IF_ERROR(file_->read(head_offset + from * row_bytes, stored));
      const auto stored_row =
          whole ? std::span(stored).subspan(bytes(from * row_bytes), bytes(row_bytes)) : std::span(stored);
      TARE_RETURN_IF_ERROR(convert(place.storage, stored_row, as, out.subspan(bytes(row - begin) * out_row, out_row)));
    }
    return {};
  }

  std::shared_ptr<const File> file_;
  std::vector<Place> places_;  // by tensor
};

// "blk.*.attn_q.weight" and "blk.12.attn_q.weight" give "12"; a pattern without a star gives "".
std::optional<std::string> match(std::string_view pattern, std::string_view name) {
  const size_t star = pattern.find('*');
  if (star == pattern.npos) return pattern == name ? std::optional<std::string>("") : std::nullopt;
  const std::string_view before = pattern.substr(0, star), after = pattern.substr(star + 1);
  if (name.size() <= before.size() + after.size() || !name.starts_with(before) || !name.ends_with(after))
    return std::nullopt;
  const std::string_view number = name.substr(star, name.size() - before.size() - after.size());
  if (number.size() > 9 || number.find_first_not_of("0123456789") != number.npos) return std::nullopt;
  return std::string(number);
}
std::string fill(std::string_view pattern, std::string_view number) {
  const size_t star = pattern.find('*');
  return star == pattern.npos ? std::string(pattern) : text(pattern.substr(0, star), number, pattern.substr(star + 1));
}

// The head count of a layer: one number for all, or a list by layer.
std::optional<int64_t> heads_of(const Config::Values& config, std::string_view key, std::string_view layer) {
  for (const std::string& candidate : {std::string(key), text(key, ".", layer)}) {
    const auto at = config.find(candidate);
    const double* value = at == config.end() ? nullptr : std::get_if<double>(&at->second);
    if (value != nullptr && *value >= 1 && *value <= 1e6 && *value == static_cast<double>(static_cast<int64_t>(*value)))
      return static_cast<int64_t>(*value);
  }
  return std::nullopt;
}

}  // namespace

Result<std::unique_ptr<WeightSource>> open_gguf_weights(const GgufFile& gguf, const GgufMapping* mapping,
                                                        const Config::Values& config,
                                                        std::vector<std::string>* unmapped) {
  std::array<int64_t, 3> elements{};  // of matrices, by presented type: BF16, F16, F32
  for (const GgufTensorEntry& t : gguf.tensors)
    if (t.storage && t.shape.size() >= 2 && traits(*t.storage).presented <= DType::f32) {
      int64_t count = 1;
      for (int64_t size : t.shape) count *= size;
      elements[static_cast<size_t>(traits(*t.storage).presented)] += count;
    }
  const bool all_bf16 = elements[0] > 0 && elements[0] >= std::max(elements[1], elements[2]);

  std::vector<std::pair<StoredTensor, Place>> tensors;
  for (const GgufTensorEntry& t : gguf.tensors) {
    StoredTensor info{.name = t.name,
                      .shape = t.shape,
                      .dtype = {},
                      .stored = t.type,
                      .stored_bytes = t.bytes,
                      .file = file_name(gguf.file->path())};
    Place place{.offset = t.offset, .storage = t.storage.value_or(Storage::u8), .head_rows = 0, .added = 0};
    const GgufTensor* rule = nullptr;
    std::string layer;
    for (size_t i = 0; mapping != nullptr && rule == nullptr && i < mapping->tensors.size(); ++i)
      if (const auto number = match(mapping->tensors[i].gguf, t.name)) rule = &mapping->tensors[i], layer = *number;
    if (rule != nullptr)
      info.name = fill(rule->checkpoint, layer);
    else
      unmapped->push_back(t.name);
    if (t.storage) {
      info.dtype = all_bf16 && traits(*t.storage).presented <= DType::f32 ? DType::bf16 : traits(*t.storage).presented;
      info.expanded = is_quantised(*t.storage);
    }
    if (rule != nullptr && rule->undo == GgufTensor::Undo::minus_one) {
      place.added = 1;
      if (t.storage && *t.storage != Storage::f32 && *t.storage != Storage::f16 && *t.storage != Storage::bf16)
        return invalid(gguf.file->path(), ": tensor ", to_string(info), " has 1 added and is stored as ", t.type,
                       ", expected F32");
    } else if (rule != nullptr && rule->undo != GgufTensor::Undo::none) {
      const bool q = rule->undo == GgufTensor::Undo::pair_rows_q;
      auto heads = heads_of(config, q ? "num_attention_heads" : "num_key_value_heads", layer);
      if (!heads && !q) heads = heads_of(config, "num_attention_heads", layer);
      if (!heads || t.shape[0] % (2 * *heads) != 0)
        return invalid(gguf.file->path(), ": tensor ", to_string(info), " has ", t.shape[0], " rows, which ",
                       heads ? text(*heads) : "an unknown count of", " heads do not divide into pairs");
      place.head_rows = t.shape[0] / *heads;
    }
    info.plain = t.storage && !info.expanded && place.head_rows == 0 && place.added == 0 &&
                 info.dtype == traits(*t.storage).presented && t.offset % size_of(*info.dtype) == 0;
    tensors.emplace_back(std::move(info), place);
  }
  std::vector<std::string> names;
  for (const auto& [info, place] : tensors) names.push_back(info.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    return invalid(gguf.file->path(), ": two of its tensors are '", printable(*twice, 120), "'");
  return std::unique_ptr<WeightSource>(std::make_unique<GgufWeights>(gguf.file, std::move(tensors)));
}

}  // namespace tare
