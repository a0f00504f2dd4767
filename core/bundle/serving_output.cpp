#include "core/bundle/serving_output.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "core/base/file.hpp"
#include "core/base/parallel.hpp"
#include "core/base/sha256.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "core/bundle/tare_source.hpp"

namespace tare {
namespace {

constexpr int64_t kMostFileBytes = 64 << 20;

TareStream::Piece piece_of(int64_t begin, std::span<const std::byte> bytes) {
  return {begin, XXH64(bytes.data(), bytes.size(), 0)};
}

// Of a bundle: files but the heads of shards.
Result<SmallFiles> files_of_bundle(const std::string& path) {
  TARE_ASSIGN_OR_RETURN(const auto bundle, TareBundle::open(path));
  SmallFiles out;
  out.info = bundle->directory().info;
  for (const TareFile& f : bundle->directory().files) {
    if (f.kind != TareFile::Kind::plain) {
      out.left_out.push_back(f.name);
      continue;
    }
    out.files.push_back({f.name, f.bytes, [bundle, &f](int64_t offset, std::span<std::byte> to) {
                           return bundle->read_range(f.stored, bundle->name_of(f), offset, to);
                         }});
  }
  return out;
}
Result<SmallFiles> files_of_source(const std::string& path, std::span<const ModelFamily* const> families,
                                   const std::vector<std::string>& exclude) {
  TARE_ASSIGN_OR_RETURN(TareSource source, open_tare_source(path, families, exclude));
  SmallFiles out;
  out.info = std::move(source.info), out.left_out = std::move(source.left_out);
  for (TareSource::Item& item : source.items) {
    if (item.shard)
      out.left_out.push_back(item.name);
    else
      out.files.push_back({item.name, item.bytes, item.read});
  }
  return out;
}

}  // namespace

Result<SmallFiles> open_small_files(const std::string& path, std::span<const ModelFamily* const> families,
                                    const std::vector<std::string>& exclude) {
  const bool is_bundle = is_file(path) && !path.ends_with(".gguf");
  TARE_ASSIGN_OR_RETURN(SmallFiles out, is_bundle ? files_of_bundle(path) : files_of_source(path, families, exclude));
  std::erase_if(out.files, [&](const SmallFiles::File& f) {
    const bool useless = f.name.ends_with(".safetensors.index.json"), large = f.bytes > kMostFileBytes;
    if (useless || large) out.left_out.push_back(f.name);
    return useless || large;
  });
  std::sort(out.left_out.begin(), out.left_out.end());
  return out;
}

Result<std::unique_ptr<ServingOutput>> ServingOutput::create(const std::string& path) {
  auto out = std::unique_ptr<ServingOutput>(new ServingOutput);
  TARE_ASSIGN_OR_RETURN(out->out_, OutputFile::create(path));
  return out;
}

Status ServingOutput::write_table(TareStream* stream, std::span<const TareStream::Piece> pieces) {
  const auto bytes = std::as_bytes(pieces);
  stream->pieces = static_cast<int64_t>(pieces.size());
  stream->table_hash = pieces.empty() ? 0 : XXH64(bytes.data(), bytes.size(), 0);
  TARE_RETURN_IF_ERROR(out_->write(stream->table_offset(), bytes));
  at_ = stream->end();
  align();
  return {};
}

Status ServingOutput::add_file(const SmallFiles::File& file) {
  TareFile f;
  f.name = file.name, f.bytes = file.bytes;
  f.stored.offset = at_, f.stored.bytes = file.bytes;
  Sha256 sha;
  std::vector<TareStream::Piece> pieces;
  std::vector<std::byte> bytes;
  for (int64_t begin = 0; begin < file.bytes; begin += kTareRawPiece) {
    bytes.resize(static_cast<size_t>(std::min(kTareRawPiece, file.bytes - begin)));
    TARE_RETURN_IF_ERROR(file.read(begin, bytes));
    sha.add(bytes);
    pieces.push_back(piece_of(begin, bytes));
    TARE_RETURN_IF_ERROR(out_->write(f.stored.offset + begin, bytes));
  }
  f.sha = sha256_bytes(sha.finish());
  TARE_RETURN_IF_ERROR(write_table(&f.stored, pieces));
  directory_.files.push_back(std::move(f));
  return {};
}

Result<std::span<std::byte>> ServingOutput::begin_weight(int64_t bytes) {
  TARE_ASSIGN_OR_RETURN(OutputFile::Mapped mapped, out_->map(at_, bytes));
  mapped_ = std::make_unique<OutputFile::Mapped>(std::move(mapped));
  return mapped_->bytes();
}

Status ServingOutput::end_weight(TareTensor weight, int threads) {
  const std::span<const std::byte> bytes = mapped_->bytes();
  const auto size = static_cast<int64_t>(bytes.size());
  weight.stored.offset = at_, weight.stored.bytes = size;
  std::vector<TareStream::Piece> pieces(static_cast<size_t>((size + kTareRawPiece - 1) / kTareRawPiece));
  TARE_RETURN_IF_ERROR(parallel_for(pieces.size(), threads, [&](size_t i) {
    const int64_t begin = static_cast<int64_t>(i) * kTareRawPiece;
    pieces[i] = piece_of(
        begin, bytes.subspan(static_cast<size_t>(begin), static_cast<size_t>(std::min(kTareRawPiece, size - begin))));
    return Status();
  }));
  mapped_.reset();
  TARE_RETURN_IF_ERROR(write_table(&weight.stored, pieces));
  directory_.tensors.push_back(std::move(weight));
  return {};
}

Result<int64_t> ServingOutput::finish(std::vector<std::pair<std::string, std::string>> info) {
  directory_.info = std::move(info), directory_.directory_offset = at_;
  const std::string printed = print_tare_directory(directory_);
  directory_.file_bytes = at_ + static_cast<int64_t>(printed.size());
  const std::string header = print_tare_header(directory_, printed);
  TARE_RETURN_IF_ERROR(out_->write(at_, std::as_bytes(std::span(printed))));
  TARE_RETURN_IF_ERROR(out_->write(0, std::as_bytes(std::span(header))));
  TARE_RETURN_IF_ERROR(out_->finish());
  return directory_.file_bytes;
}

}  // namespace tare
