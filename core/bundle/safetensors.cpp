#include "core/bundle/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "core/base/file.hpp"
#include "core/base/json.hpp"
#include "core/base/printable.hpp"
#include "core/bundle/convert.hpp"
#include "core/bundle/safetensors_header.hpp"

namespace tare {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

struct Shard {
  std::shared_ptr<const File> file;
  SafetensorsHeader header;
  int64_t data_offset = 0;
};

Result<Shard> open_shard(const std::string& path) {
  Shard shard;
  TARE_ASSIGN_OR_RETURN(shard.file, File::open(path));
  const int64_t file_bytes = shard.file->bytes();
  if (file_bytes < 8)
    return invalid(path, ": has ", file_bytes,
                   " bytes, a safetensors file begins with 8 that give its header's length");
  uint64_t length = 0;
  TARE_RETURN_IF_ERROR(shard.file->read(0, std::as_writable_bytes(std::span(&length, 1))));
  if (length > static_cast<uint64_t>(kMostHeaderBytes))
    return invalid(path, ": announces a header of ", length, " bytes, at most ", kMostHeaderBytes, " are accepted",
                   " (is it a safetensors file?)");
  const int64_t header_bytes = static_cast<int64_t>(length);
  if (header_bytes > file_bytes - 8)
    return invalid(path, ": is truncated: it has ", file_bytes, " bytes, its header alone needs ", header_bytes + 8);
  std::string json(static_cast<size_t>(header_bytes), '\0');
  TARE_RETURN_IF_ERROR(shard.file->read(8, std::as_writable_bytes(std::span(json))));
  TARE_ASSIGN_OR_RETURN(shard.header, parse_safetensors_header(json, path));
  shard.data_offset = 8 + header_bytes;
  const int64_t have = file_bytes - shard.data_offset, want = shard.header.data_bytes;
  if (have < want)
    return invalid(path, ": is truncated: it has ", file_bytes, " bytes, its header describes ",
                   shard.data_offset + want);
  if (have > want)
    return invalid(path, ": has ", file_bytes, " bytes, its header describes only ", shard.data_offset + want);
  return shard;
}

class Safetensors final : public WeightSource {
 public:
  static Result<std::unique_ptr<WeightSource>> make(std::vector<Shard> shards) {
    auto source = std::make_unique<Safetensors>();
    std::map<std::string, Place> places;
    std::vector<StoredTensor> tensors;
    for (const Shard& shard : shards) {
      for (const SafetensorsTensor& t : shard.header.tensors) {
        const auto [at, fresh] =
            places.try_emplace(t.name, Place{shard.file, shard.data_offset + t.begin, storage_named(t.dtype)});
        if (!fresh)
          return invalid("tensor '", printable(t.name, 120), "' is in both ", at->second.file->path(), " and ",
                         shard.file->path());
        StoredTensor info{.name = t.name,
                          .shape = t.shape,
                          .dtype = {},
                          .stored = t.dtype,
                          .stored_bytes = t.end - t.begin,
                          .file = file_name(shard.file->path())};
        if (at->second.storage) info.dtype = traits(*at->second.storage).presented;
        info.plain = info.dtype && (shard.data_offset + t.begin) % size_of(*info.dtype) == 0;
        tensors.push_back(std::move(info));
      }
    }
    source->set_tensors(std::move(tensors));
    for (auto& [name, place] : places) source->places_.push_back(std::move(place));  // the same order: by name
    return std::unique_ptr<WeightSource>(std::move(source));
  }

  const std::byte* mapped(const StoredTensor& tensor) const noexcept override {
    const Place& place = places_[index_of(tensor)];
    const std::byte* map = tensor.plain ? place.file->map() : nullptr;
    return map == nullptr ? nullptr : map + place.offset;
  }

 private:
  struct Place {
    std::shared_ptr<const File> file;
    int64_t offset = 0;
    std::optional<Storage> storage;
  };
  Status read_rows(const StoredTensor& tensor, int64_t begin, int64_t end, DType as,
                   std::span<std::byte> out) const override {
    const Place& place = places_[index_of(tensor)];
    const int64_t size = size_of(*tensor.dtype);
    int64_t at = place.offset + begin * tensor.row_elements() * size;
    if (as == *tensor.dtype) return place.file->read(at, out);
    constexpr int64_t kPieceElements = 1 << 18;
    int64_t left = (end - begin) * tensor.row_elements();
    std::vector<std::byte> piece(static_cast<size_t>(std::min(left, kPieceElements) * size));
    while (left > 0) {
      const int64_t count = std::min(left, kPieceElements);
      const auto stored = std::span(piece).first(static_cast<size_t>(count * size));
      TARE_RETURN_IF_ERROR(place.file->read(at, stored));
      const auto to = out.first(static_cast<size_t>(count * size_of(as)));
      TARE_RETURN_IF_ERROR(convert(*place.storage, stored, as, to));
      out = out.subspan(to.size());
      at += count * size, left -= count;
    }
    return {};
  }
  std::vector<Place> places_;  // by tensor
};

// {"metadata": {..}, "weight_map": {"name": "shard", ..}}
class IndexReader final : public JsonEvents {
 public:
  std::map<std::string, std::string> shard_of;
  bool has_map = false;
  Status begin_object() override {
    if (depth_ == 1 && key_ == "weight_map") has_map = in_map_ = true;
    return open();
  }
  Status end_object() override {
    if (depth_ == 2) in_map_ = false;
    return close();
  }
  Status begin_array() override { return depth_ == 0 ? invalid("is a list, expected an object") : open(); }
  Status end_array() override { return close(); }
  Status key(std::string_view name) override {
    key_ = name;
    return {};
  }
  Status string(std::string_view value) override {
    if (!in_map_ || depth_ != 2) return other();
    // A shard lies beside its index: a name that leads elsewhere would read a file that nobody meant.
    if (value.empty() || value == "." || value == ".." || value.find_first_of(std::string_view("/\0", 2)) != value.npos)
      return invalid("'", printable(key_, 120), "' is in '", printable(value, 120), "', expected the name of a file",
                     " beside the index");
    if (!shard_of.emplace(key_, value).second) return invalid("'", printable(key_, 120), "' occurs twice");
    return {};
  }
  Status number(std::string_view) override { return other(); }
  Status boolean(bool) override { return other(); }
  Status null() override { return other(); }

 private:
  Status open() { return ++depth_, Status(); }
  Status close() { return --depth_, Status(); }
  Status other() const {
    if (depth_ == 0) return invalid("is a single value, expected an object");
    if (in_map_) return invalid("'", printable(key_, 120), "' has no shard's name, expected a string");
    return {};
  }
  int depth_ = 0;
  bool in_map_ = false;
  std::string key_;
};

}  // namespace

Result<std::unique_ptr<WeightSource>> open_safetensors(std::span<const std::string> paths) {
  std::vector<Shard> shards;
  for (const std::string& path : paths) {
    TARE_ASSIGN_OR_RETURN(Shard shard, open_shard(path));
    shards.push_back(std::move(shard));
  }
  return Safetensors::make(std::move(shards));
}

Result<std::unique_ptr<WeightSource>> open_safetensors_index(const std::string& index_path) {
  TARE_ASSIGN_OR_RETURN(const std::string json, read_file(index_path, kMostHeaderBytes));
  IndexReader index;
  TARE_RETURN_IF_ERROR(read_json(json, index_path, {.depth = 16}, index));
  if (!index.has_map) return invalid(index_path, ": has no object 'weight_map'");
  std::map<std::string, Shard> opened;
  for (const auto& [tensor, name] : index.shard_of) {
    if (opened.contains(name)) continue;
    const std::string path = join_path(folder_name(index_path), name);
    if (!is_file(path))
      return failure(Code::not_found, "shard ", printable(name, 120), " is missing in ", folder_name(index_path), "; ",
                     file_name(index_path), " names it, for '", printable(tensor, 120), "' among others");
    TARE_ASSIGN_OR_RETURN(Shard shard, open_shard(path));
    opened.emplace(name, std::move(shard));
  }
  std::vector<Shard> shards;
  for (auto& [name, shard] : opened) shards.push_back(std::move(shard));
  TARE_ASSIGN_OR_RETURN(auto source, Safetensors::make(std::move(shards)));
  for (const auto& [tensor, name] : index.shard_of) {
    const StoredTensor* found = source->find(tensor);
    if (found == nullptr || found->file != name)
      return invalid(index_path, ": tensor '", printable(tensor, 120), "' is said to be in ", printable(name, 120),
                     ", ", found == nullptr ? "which does not have it" : "found in " + found->file);
  }
  return source;
}

}  // namespace tare
