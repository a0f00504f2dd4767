// A .tare bundle as a checkpoint: the text files it holds, and its weights read tile by tile.
#include <algorithm>
#include <cstring>

#include "core/base/printable.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/bundle/convert.hpp"
#include "core/bundle/folder_text.hpp"
#include "core/bundle/gguf_head.hpp"
#include "core/bundle/tare_tiles.hpp"
#include "core/config/model_config.hpp"

namespace tare {
namespace {

class TareWeights final : public WeightSource {
 public:
  explicit TareWeights(std::shared_ptr<const TareBundle> bundle) : bundle_(std::move(bundle)) {
    const TareDirectory& d = bundle_->directory();
    std::vector<std::pair<StoredTensor, const TareTensor*>> found;
    for (const TareTensor& t : d.tensors) {
      const bool laid = t.codec == TareTensor::Codec::layout;
      if (!laid && d.files[t.file].kind != TareFile::Kind::weights) continue;
      StoredTensor info{.name = t.name,
                        .shape = t.shape,
                        .dtype = {},
                        .stored = t.dtype,
                        .stored_bytes = t.stored.bytes,
                        .file = laid ? file_name(bundle_->path()) : d.files[t.file].name};
      if (const auto storage = storage_named(t.dtype)) info.dtype = traits(*storage).presented;
      found.emplace_back(std::move(info), &t);
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first.name < b.first.name; });
    std::vector<StoredTensor> infos;
    for (auto& [info, tensor] : found) infos.push_back(std::move(info)), tensors_of_.push_back(tensor);
    set_tensors(std::move(infos));
  }
  // Names must differ: the first that does not, if any.
  const StoredTensor* doubled() const {
    const auto& all = tensors();
    const auto at = std::adjacent_find(all.begin(), all.end(), [](auto& a, auto& b) { return a.name == b.name; });
    return at == all.end() ? nullptr : &*at;
  }
  const std::byte* mapped(const StoredTensor&) const noexcept override { return nullptr; }
  std::optional<LaidOutWeight> laid_out(const StoredTensor& tensor) const override {
    const TareTensor& t = *tensors_of_[index_of(tensor)];
    if (t.codec != TareTensor::Codec::layout) return std::nullopt;
    return LaidOutWeight{.layout = t.laid.layout,
                         .version = t.laid.version,
                         .input_dims = t.laid.input_dims,
                         .note = t.laid.note,
                         .fell_back = (t.laid.flags & TareTensor::Laid::kFellBack) != 0,
                         .bytes = t.stored.bytes,
                         .read = [bundle = bundle_, &t](int64_t begin, std::span<std::byte> out) {
                           return bundle->read_range(t.stored, bundle->name_of(t), begin, out);
                         }};
  }
  std::unique_ptr<CodedTiles> coded(const StoredTensor& tensor) const override {
    return coded_tiles(bundle_, *tensors_of_[index_of(tensor)]);
  }
  int64_t row_granule(const StoredTensor& tensor) const noexcept override {
    const TareTensor& t = *tensors_of_[index_of(tensor)];
    return t.codec == TareTensor::Codec::exp_ans && t.shape.size() == 2 ? t.grid.tile_rows : 1;
  }

 private:
  Status read_rows(const StoredTensor& tensor, int64_t begin, int64_t end, DType as,
                   std::span<std::byte> out) const override {
    const TareTensor& t = *tensors_of_[index_of(tensor)];
    if (t.codec == TareTensor::Codec::layout)
      return failure(Code::unsupported, bundle_->name_of(t), " lies as ", printable(t.laid.layout, 80),
                     ", which only its layout reads");
    if (as == *tensor.dtype) return read_plain(t, begin, end, out);
    std::vector<std::byte> plain(static_cast<size_t>((end - begin) * tensor.row_elements() * size_of(*tensor.dtype)));
    TARE_RETURN_IF_ERROR(read_plain(t, begin, end, plain));
    return convert(storage_of(*tensor.dtype), plain, as, out);
  }
  Status read_plain(const TareTensor& t, int64_t begin, int64_t end, std::span<std::byte> out) const {
    if (t.shape.size() < 2) return bundle_->read_block(t, 0, 1, begin, end, out);  // a vector is one row
    int64_t rows = 1;  // of the matrices, in one of the tensor's rows
    for (size_t i = 1; i + 1 < t.shape.size(); ++i) rows *= t.shape[i];
    return bundle_->read_block(t, begin * rows, end * rows, 0, t.grid.columns, out);
  }

  std::shared_ptr<const TareBundle> bundle_;
  std::vector<const TareTensor*> tensors_of_;  // by StoredTensor
};

class BundleFiles final : public TextFiles {
 public:
  explicit BundleFiles(const TareBundle& bundle) : bundle_(bundle) {}
  bool has(std::string_view name) const override { return bundle_.find_file(name) != nullptr; }
  Result<std::string> read(std::string_view name, int64_t most) const override {
    const TareFile* file = bundle_.find_file(name);
    return file == nullptr ? Result<std::string>(std::string()) : bundle_.read_content(*file, most);
  }
  Result<std::shared_ptr<const File>> open(std::string_view name) const override {
    const TareFile* file = bundle_.find_file(name);
    if (file == nullptr) return failure(Code::not_found, bundle_.path(), ": has no file ", name);
    TARE_RETURN_IF_ERROR(bundle_.stream_stored(file->stored, bundle_.name_of(*file), [](auto) { return Status(); }));
    return File::open_part(bundle_.path(), file->stored.offset, file->stored.bytes);
  }
  std::string place(std::string_view name) const override { return bundle_.path() + ": " + std::string(name); }

 private:
  const TareBundle& bundle_;
};

}  // namespace

Result<Checkpoint> open_tare(const std::string& path, const CheckpointOptions& options) {
  TARE_ASSIGN_OR_RETURN(const auto bundle, TareBundle::open(path));
  Checkpoint checkpoint;
  checkpoint.kind = Checkpoint::Kind::tare;
  checkpoint.path = path;
  checkpoint.name = file_name(path);
  if (checkpoint.name.ends_with(".tare")) checkpoint.name.resize(checkpoint.name.size() - 5);
  TARE_RETURN_IF_ERROR(read_text_files(BundleFiles(*bundle), &checkpoint));
  for (const auto& [key, value] : bundle->directory().info)
    if (key == "expanded from")
      checkpoint.notes.push_back("was packed from " + printable(value, 400));
    else if (key == "laid out for")
      checkpoint.notes.push_back("is a serving bundle for " + printable(value, 400));
  auto weights = std::make_unique<TareWeights>(bundle);
  if (const StoredTensor* t = weights->doubled())
    return failure(Code::corrupt, path, ": tensor '", printable(t->name, 120), "' occurs twice");
  checkpoint.dtype = main_dtype(*weights);
  for (const TareTensor& t : bundle->directory().tensors)
    if (t.codec == TareTensor::Codec::layout)
      checkpoint.layouts[t.name] = {t.laid.layout, t.laid.version, t.stored.bytes};
  note_unread(*weights, &checkpoint.notes);
  if (options.weights) checkpoint.weights = std::move(weights);
  return checkpoint;
}

}  // namespace tare
