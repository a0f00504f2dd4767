#include "core/bundle/tare_source.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>

#include "core/base/file.hpp"
#include "core/base/printable.hpp"
#include "core/bundle/gguf_head.hpp"
#include "core/bundle/safetensors_header.hpp"

namespace tare {
namespace {

namespace fs = std::filesystem;
constexpr int kDeepest = 16;

bool is_excluded(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) {
    return ::fnmatch(p.c_str(), name.c_str(), 0) == 0 || ::fnmatch(p.c_str(), file_name(name).c_str(), 0) == 0;
  });
}

Status list_folder(const std::string& folder, const std::string& prefix, const std::vector<std::string>& exclude,
                   int depth, std::vector<std::string>* names, std::vector<std::string>* left_out) {
  if (depth > kDeepest) return invalid(folder, ": has folders more than ", kDeepest, " deep (does a link lead back?)");
  std::error_code error;
  std::vector<std::string> entries;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    entries.push_back(at->path().filename().string());
  if (error) return invalid(folder, ": cannot be listed: ", error.message());
  std::sort(entries.begin(), entries.end());
  for (const std::string& entry : entries) {
    const std::string name = prefix + entry, path = join_path(folder, entry);
    if (entry == ".git" || is_excluded(name, exclude))
      left_out->push_back(name);
    else if (is_folder(path))
      TARE_RETURN_IF_ERROR(list_folder(path, name + "/", exclude, depth + 1, names, left_out));
    else if (is_file(path))
      names->push_back(name);
    else
      left_out->push_back(name + " (not a regular file)");
  }
  return {};
}

// A safetensors file by its header, or nothing when it is none: then it is kept as it is.
bool read_shard(const File& file, TareSource::Item* item) {
  uint64_t length = 0;
  if (file.bytes() < 8 || !file.read(0, std::as_writable_bytes(std::span(&length, 1))).ok()) return false;
  if (length > static_cast<uint64_t>(std::min(kMostHeaderBytes, file.bytes() - 8))) return false;
  std::string json(length, '\0');
  if (!file.read(8, std::as_writable_bytes(std::span(json))).ok()) return false;
  auto header = parse_safetensors_header(json, file.path());
  item->head_bytes = 8 + static_cast<int64_t>(length);
  if (!header.ok() || item->head_bytes + header->data_bytes != file.bytes()) return false;
  for (auto& t : header->tensors)
    item->tensors.push_back({t.name, t.dtype, t.shape, item->head_bytes + t.begin, t.end - t.begin});
  return true;
}

Result<TareSource> open_folder_source(const std::string& path, const std::vector<std::string>& exclude) {
  TareSource source;
  TARE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, open_folder(path, {}));
  std::set<std::string> shards;
  for (const StoredTensor& t : checkpoint.weights->tensors()) shards.insert(t.file);
  std::vector<std::string> names;
  TARE_RETURN_IF_ERROR(list_folder(path, "", exclude, 0, &names, &source.left_out));
  for (const std::string& name : names) {
    TARE_ASSIGN_OR_RETURN(auto file, File::open(join_path(path, name)));
    TareSource::Item item;
    item.name = name, item.bytes = file->bytes();
    if (name.ends_with(".safetensors")) item.shard = read_shard(*file, &item);
    if (!item.shard) item.tensors.clear(), item.head_bytes = 0;
    item.weights = item.shard && shards.contains(name);
    item.read = [file](int64_t offset, std::span<std::byte> out) { return file->read(offset, out); };
    source.items.push_back(std::move(item));
  }
  source.info = {{"source", checkpoint.name}, {"kind", "safetensors folder"}};
  return source;
}

TareSource::Item text_item(std::string name, std::string content) {
  TareSource::Item item;
  item.name = std::move(name), item.bytes = static_cast<int64_t>(content.size());
  item.read = [content = std::make_shared<const std::string>(std::move(content))](int64_t at,
                                                                                  std::span<std::byte> out) {
    std::memcpy(out.data(), content->data() + at, out.size());
    return Status();
  };
  return item;
}

std::string safetensors_word(DType dtype) {
  std::string word(name(dtype));
  std::transform(word.begin(), word.end(), word.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
  return word;
}

// Bytes [begin, begin + out.size()) of a tensor as presented, whatever rows they cut.
Status read_bytes(const WeightSource& weights, const StoredTensor& t, int64_t begin, std::span<std::byte> out) {
  const int64_t row_bytes = t.row_elements() * size_of(*t.dtype), end = begin + static_cast<int64_t>(out.size());
  if (row_bytes == 0) return {};
  const int64_t first = begin / row_bytes, last = (end + row_bytes - 1) / row_bytes;
  if (first * row_bytes == begin && last * row_bytes == end) return weights.read(t, first, last, *t.dtype, out);
  std::vector<std::byte> cover(static_cast<size_t>((last - first) * row_bytes));
  TARE_RETURN_IF_ERROR(weights.read(t, first, last, *t.dtype, cover));
  std::memcpy(out.data(), cover.data() + (begin - first * row_bytes), out.size());
  return {};
}

// The BF16 expansion of a GGUF as the Hugging Face folder that `unpack` writes.
Result<TareSource> open_gguf_source(const std::string& path, std::span<const ModelFamily* const> families) {
  TARE_ASSIGN_OR_RETURN(Checkpoint opened, open_gguf(path, families, {}));
  TARE_RETURN_IF_ERROR(check_readable(*opened.weights, path));
  const auto checkpoint = std::make_shared<const Checkpoint>(std::move(opened));
  TareSource source;
  source.keeps = checkpoint;
  source.items.push_back(text_item("config.json", checkpoint->config_json));
  if (!checkpoint->text.chat_template.empty())
    source.items.push_back(text_item("chat_template.jinja", checkpoint->text.chat_template));
  if (checkpoint->text.gguf) {
    TARE_ASSIGN_OR_RETURN(std::string head, gguf_without_tensors(path));
    source.items.push_back(text_item(std::string(kGgufTokenizerFile), std::move(head)));
  }
  std::string json = R"({"__metadata__":{"format":"pt"})";
  int64_t at = 0;
  TareSource::Item item;
  for (const StoredTensor& t : checkpoint->weights->tensors()) {
    json += "," + json_string(t.name) + text(R"(:{"dtype":")", safetensors_word(*t.dtype), R"(","shape":[)");
    for (size_t i = 0; i < t.shape.size(); ++i) json += text(i > 0 ? "," : "", t.shape[i]);
    json += text(R"(],"data_offsets":[)", at, ",", at + t.bytes(), "]}");
    item.tensors.push_back({t.name, safetensors_word(*t.dtype), t.shape, at, t.bytes()});
    at += t.bytes();
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  const uint64_t length = json.size();
  std::string head(reinterpret_cast<const char*>(&length), 8);
  head += json;
  item.name = "model.safetensors", item.shard = item.weights = true;
  item.head_bytes = static_cast<int64_t>(head.size()), item.bytes = item.head_bytes + at;
  for (auto& t : item.tensors) t.begin += item.head_bytes;
  item.read = [checkpoint, head, tensors = item.tensors](int64_t offset, std::span<std::byte> out) {
    if (offset < static_cast<int64_t>(head.size())) {  // callers read the head, or bytes of one tensor
      std::memcpy(out.data(), head.data() + offset, out.size());
      return Status();
    }
    const auto t = std::prev(std::upper_bound(tensors.begin(), tensors.end(), offset,
                                              [](int64_t o, const auto& entry) { return o < entry.begin; }));
    return read_bytes(*checkpoint->weights, *checkpoint->weights->find(t->name), offset - t->begin, out);
  };
  source.items.push_back(std::move(item));
  int64_t quantised = 0;
  for (const StoredTensor& t : checkpoint->weights->tensors()) quantised += t.expanded;
  source.info = {{"source", file_name(path)}, {"kind", "GGUF"}};
  if (quantised > 0)
    source.info.emplace_back(
        "expanded from", text(quantised, " quantised tensors: ", stored_bytes(*checkpoint->weights), " bytes became ",
                              presented_bytes(*checkpoint->weights)));
  return source;
}

}  // namespace

Result<TareSource> open_tare_source(const std::string& path, std::span<const ModelFamily* const> families,
                                    const std::vector<std::string>& exclude) {
  if (is_folder(path)) return open_folder_source(path, exclude);
  if (is_file(path) && path.ends_with(".gguf")) return open_gguf_source(path, families);
  if (is_file(path) && path.ends_with(".tare"))
    return invalid(printable(path, 200),
                   " is a bundle already, expected a Hugging Face folder or a .gguf file; `tare "
                   "pack --layout` makes a serving bundle of it, `tare unpack` the files");
  if (is_file(path))
    return invalid(printable(path, 200), ": cannot be packed, expected a Hugging Face folder or a .gguf file");
  return failure(Code::not_found, printable(path, 200), ": there is no such file or folder");
}

}  // namespace tare
