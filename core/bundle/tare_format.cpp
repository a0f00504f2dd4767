#include "core/bundle/tare_format.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/base/printable.hpp"
#include "core/bundle/safetensors_header.hpp"

namespace tare {
namespace {

class Writer {
 public:
  std::string out;
  template <class T>
  void put(T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(const std::string& s) { put(static_cast<uint32_t>(s.size())), out += s; }
  void put(const Sha256Bytes& sha) { out.append(reinterpret_cast<const char*>(sha.data()), sha.size()); }
  void put(const TareStream& s) { put(s.offset), put(s.bytes), put(s.pieces), put(s.table_hash); }
};

// Every get is checked; after the first failure all give zeros, and `ok` says so.
class Cursor {
 public:
  explicit Cursor(std::string_view bytes) : left_(bytes) {}
  bool ok = true;
  bool done() const { return left_.empty(); }
  template <class T>
  T get() {
    T value{};
    if (left_.size() < sizeof value) return ok = false, value;
    std::memcpy(&value, left_.data(), sizeof value);
    left_.remove_prefix(sizeof value);
    return value;
  }
  std::string string() {
    const auto length = get<uint32_t>();
    if (length > left_.size()) return ok = false, std::string();
    std::string out(left_.substr(0, length));
    left_.remove_prefix(length);
    return out;
  }
  // A count of things that take at least `least` bytes each.
  uint32_t count(size_t least) {
    const auto n = get<uint32_t>();
    if (n > left_.size() / least) ok = false;
    return ok ? n : 0;
  }
  TareStream stream() {
    TareStream s;
    s.offset = get<int64_t>(), s.bytes = get<int64_t>(), s.pieces = get<int64_t>();
    s.table_hash = get<uint64_t>();
    return s;
  }

 private:
  std::string_view left_;
};

std::string quoted(const std::string& name) { return "'" + printable(name, 120) + "'"; }
bool is_safe(const std::string& name) {
  if (name.empty() || name.size() > 4096 || name.find('\0') != name.npos) return false;
  for (size_t at = 0; at <= name.size();) {
    const size_t end = std::min(name.find('/', at), name.size());
    const auto part = std::string_view(name).substr(at, end - at);
    if (part.empty() || part == "." || part == "..") return false;
    at = end + 1;
  }
  return true;
}

// `end`: where the directory begins.
Status check_stream(const TareStream& s, int64_t pieces, int64_t end, const std::string& what) {
  const bool good = s.offset >= kTarePage && s.offset % kTarePage == 0 && s.offset <= end && s.bytes >= 0 &&
                    s.bytes <= end - s.offset && s.pieces == pieces && s.pieces >= 0 && s.pieces <= end / 16 &&
                    s.end() <= end;
  return good ? Status()
              : failure(Code::corrupt, what, ": its ", s.bytes, " bytes in ", s.pieces, " pieces at ", s.offset,
                        " cannot be");
}
int64_t plain_pieces(int64_t bytes) { return bytes / kTareRawPiece + (bytes % kTareRawPiece != 0); }

Status read_tables(Cursor& in, TareTensor* t) {
  t->tables.width = in.get<uint8_t>();
  const auto rows = in.get<uint32_t>(), columns = in.get<uint32_t>();
  if (coded_width(t->dtype) != t->tables.width || rows == 0 || columns == 0 || rows > 65536 || columns > 65536)
    return failure(Code::corrupt, "tensor ", quoted(t->name), " has an element width or a tile size that cannot be");
  t->grid.tile_rows = static_cast<int32_t>(rows), t->grid.tile_columns = static_cast<int32_t>(columns);
  if (t->grid.elements() == 0 || !t->grid.is_bounded())
    return failure(Code::corrupt, "tensor ", quoted(t->name), " has tiles of ", rows, " x ", columns);
  for (size_t p = 0; p < static_cast<size_t>(t->tables.width); ++p) {
    const auto entries = in.get<uint16_t>();
    uint32_t sum = 0;
    int before = -1;
    for (uint32_t e = 0; e < entries && in.ok; ++e) {
      const auto symbol = in.get<uint8_t>();
      const auto frequency = in.get<uint16_t>();
      if (symbol <= before || frequency == 0) return failure(Code::corrupt, "tensor ", quoted(t->name), ": bad table");
      before = symbol, t->tables.frequencies[p][symbol] = frequency, sum += frequency;
    }
    t->tables.coded[p] = entries > 0;
    if (in.ok && entries > 0 && sum != rans::kTotal)
      return failure(Code::corrupt, "tensor ", quoted(t->name), ": a table's frequencies add up to ", sum,
                     ", expected ", rans::kTotal);
  }
  return {};
}

Status read_tensor(Cursor& in, int64_t end, TareTensor* t) {
  t->name = in.string(), t->dtype = in.string();
  t->shape.resize(in.get<uint8_t>());
  int64_t elements = 1;
  for (int64_t& size : t->shape) {
    size = in.get<int64_t>();
    if (size < 0 || __builtin_mul_overflow(elements, size, &elements) || elements > (int64_t{1} << 56))
      return failure(Code::corrupt, "tensor ", quoted(t->name), " has sizes that cannot be");
  }
  t->file = in.get<uint32_t>(), t->begin = in.get<int64_t>(), t->bytes = in.get<int64_t>();
  t->sha = in.get<Sha256Bytes>();
  const auto codec = in.get<uint8_t>();
  if (codec > 2)
    return failure(Code::unsupported, "tensor ", quoted(t->name), " has codec ", int{codec},
                   ", this version reads 0 (raw), 1 (exp-ans) and 2 (layout)");
  t->codec = static_cast<TareTensor::Codec>(codec);
  t->grid = matrices_of(t->shape);
  if (t->codec == TareTensor::Codec::exp_ans) TARE_RETURN_IF_ERROR(read_tables(in, t));
  if (t->codec == TareTensor::Codec::layout) {
    t->laid.layout = in.string(), t->laid.version = in.get<uint32_t>(), t->laid.input_dims = in.get<uint8_t>();
    t->laid.flags = in.get<uint8_t>(), t->laid.note = in.string();
  }
  t->stored = in.stream();
  if (!in.ok) return {};
  const std::string what = "tensor " + quoted(t->name);
  const auto bits = safetensors_bits(t->dtype);
  if (!bits || elements * *bits % 8 != 0 || t->bytes != elements * *bits / 8)
    return failure(Code::corrupt, what, " has ", t->bytes, " bytes, its type and shape need others");
  if ((t->codec == TareTensor::Codec::layout) != (t->file == TareTensor::kNoFile) ||
      t->laid.input_dims > t->shape.size())
    return failure(Code::corrupt, what, " is in no shard, or laid out and in one");
  if (t->codec == TareTensor::Codec::exp_ans) {
    if (t->stored.bytes % 16 != 0) return failure(Code::corrupt, what, " has ", t->stored.bytes, " coded bytes");
    return check_stream(t->stored, t->grid.tiles(), end, what);
  }
  if (t->codec == TareTensor::Codec::raw && t->stored.bytes != t->bytes)
    return failure(Code::corrupt, what, " has ", t->bytes, " bytes, ", t->stored.bytes, " are stored");
  return check_stream(t->stored, plain_pieces(t->stored.bytes), end, what);
}

Status check_places(const TareDirectory& d) {
  std::vector<std::pair<int64_t, int64_t>> places;  // begin, end
  for (const auto& f : d.files) places.emplace_back(f.stored.offset, f.stored.end());
  for (const auto& t : d.tensors) places.emplace_back(t.stored.offset, t.stored.end());
  std::sort(places.begin(), places.end());
  int64_t end = kTarePage;
  for (const auto& [begin, stop] : places) {
    if (begin == stop) continue;
    if (begin < end || begin - end >= kTarePage)
      return failure(Code::corrupt, "stored bytes at ", begin, " overlap others or leave a hole");
    end = stop;
  }
  if (d.directory_offset - end >= kTarePage) return failure(Code::corrupt, "there is a hole before the directory");
  return {};
}

Status check_shards(const TareDirectory& d) {
  std::vector<std::vector<std::pair<int64_t, int64_t>>> parts(d.files.size());
  for (const auto& t : d.tensors) {
    if (t.file == TareTensor::kNoFile) continue;
    if (t.file >= d.files.size() || d.files[t.file].kind == TareFile::Kind::plain || t.begin < 0 || t.bytes < 0)
      return failure(Code::corrupt, "tensor ", quoted(t.name), " is in no shard");
    parts[t.file].emplace_back(t.begin, t.bytes);
  }
  for (size_t i = 0; i < d.files.size(); ++i) {
    std::sort(parts[i].begin(), parts[i].end());
    int64_t end = d.files[i].stored.bytes;
    for (const auto& [begin, bytes] : parts[i]) {
      if (begin != end || bytes > d.files[i].bytes - begin)
        return failure(Code::corrupt, quoted(d.files[i].name), ": its tensors do not follow each other at ", begin);
      end += bytes;
    }
    if (end != d.files[i].bytes)
      return failure(Code::corrupt, quoted(d.files[i].name), " has ", d.files[i].bytes, " bytes, its parts make ", end);
  }
  return {};
}

}  // namespace

Sha256Bytes sha256_bytes(const std::string& hex) {
  Sha256Bytes out{};
  const auto digit = [](char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<uint8_t>(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
  return out;
}
std::string to_hex(const Sha256Bytes& sha) {
  std::string out;
  for (const uint8_t b : sha) out += "0123456789abcdef"[b >> 4], out += "0123456789abcdef"[b & 15];
  return out;
}

std::string print_tare_directory(const TareDirectory& d) {
  Writer w;
  w.put(static_cast<uint32_t>(d.info.size()));
  for (const auto& [key, value] : d.info) w.put(key), w.put(value);
  w.put(static_cast<uint32_t>(d.files.size()));
  for (const auto& f : d.files) w.put(f.name), w.put(f.kind), w.put(f.bytes), w.put(f.sha), w.put(f.stored);
  w.put(static_cast<uint32_t>(d.tensors.size()));
  for (const auto& t : d.tensors) {
    w.put(t.name), w.put(t.dtype), w.put(static_cast<uint8_t>(t.shape.size()));
    for (int64_t size : t.shape) w.put(size);
    w.put(t.file), w.put(t.begin), w.put(t.bytes), w.put(t.sha), w.put(t.codec);
    if (t.codec == TareTensor::Codec::exp_ans) {
      w.put(static_cast<uint8_t>(t.tables.width));
      w.put(static_cast<uint32_t>(t.grid.tile_rows)), w.put(static_cast<uint32_t>(t.grid.tile_columns));
      for (size_t p = 0; p < static_cast<size_t>(t.tables.width); ++p) {
        const auto& f = t.tables.frequencies[p];
        const auto used = t.tables.coded[p] ? 256 - std::count(f.begin(), f.end(), 0) : 0;
        w.put(static_cast<uint16_t>(used));
        for (size_t s = 0; used > 0 && s < 256; ++s)
          if (f[s] > 0) w.put(static_cast<uint8_t>(s)), w.put(f[s]);
      }
    }
    if (t.codec == TareTensor::Codec::layout)
      w.put(t.laid.layout), w.put(t.laid.version), w.put(t.laid.input_dims), w.put(t.laid.flags), w.put(t.laid.note);
    w.put(t.stored);
  }
  return std::move(w.out);
}

std::string print_tare_header(const TareDirectory& d, std::string_view directory) {
  Writer w;
  w.out = kTareMagic;
  w.put(kTareMajor), w.put(kTareMinor), w.put(uint32_t{0}), w.put(d.file_bytes), w.put(d.directory_offset);
  w.put(static_cast<int64_t>(directory.size())), w.put(uint64_t{XXH64(directory.data(), directory.size(), 0)});
  w.put(uint64_t{XXH64(w.out.data(), w.out.size(), 0)});
  w.out.resize(static_cast<size_t>(kTarePage), '\0');
  return std::move(w.out);
}

Result<TareHeader> parse_tare_header(std::string_view page, int64_t file_bytes, std::string_view what) {
  if (page.size() < 16 || page.substr(0, 8) != kTareMagic)
    return invalid(what, ": does not begin with ", kTareMagic, ", so it is no .tare bundle");
  Cursor in(page.substr(8));
  const auto major = in.get<uint16_t>();
  TareHeader h{};
  h.minor = in.get<uint16_t>();
  if (major > kTareMajor)
    return failure(Code::unsupported, what, ": has bundle format ", major, ".", h.minor, ", this version reads ",
                   kTareMajor, ".x: a newer tare reads it");
  if (page.size() < static_cast<size_t>(kTarePage))
    return failure(Code::corrupt, what, ": is truncated: it has ", page.size(), " bytes, its header has ", kTarePage);
  in.get<uint32_t>();
  h.file_bytes = in.get<int64_t>(), h.directory_offset = in.get<int64_t>(), h.directory_bytes = in.get<int64_t>();
  h.directory_hash = in.get<uint64_t>();
  const bool zeros = page.find_first_not_of('\0', 56) == page.npos;
  if (in.get<uint64_t>() != XXH64(page.data(), 48, 0) || major == 0 || !zeros)
    return failure(Code::corrupt, what, ": its header is damaged (its checksum does not match)");
  if (h.file_bytes != file_bytes)
    return failure(Code::corrupt, what, ": has ", file_bytes, " bytes, its header says ", h.file_bytes,
                   file_bytes < h.file_bytes ? ": it is truncated" : "");
  if (h.directory_offset < kTarePage || h.directory_offset % kTarePage != 0 || h.directory_bytes < 0 ||
      h.directory_offset > file_bytes || h.directory_bytes != file_bytes - h.directory_offset)
    return failure(Code::corrupt, what, ": its directory of ", h.directory_bytes, " bytes at ", h.directory_offset,
                   " does not end the file");
  return h;
}

Result<TareDirectory> parse_tare_directory(std::string_view bytes, const TareHeader& header, std::string_view what) {
  if (XXH64(bytes.data(), bytes.size(), 0) != header.directory_hash)
    return failure(Code::corrupt, what, ": its directory is damaged (its checksum does not match)");
  TareDirectory d;
  d.minor = header.minor, d.file_bytes = header.file_bytes, d.directory_offset = header.directory_offset;
  Cursor in(bytes);
  d.info.resize(in.count(8));
  for (auto& [key, value] : d.info) key = in.string(), value = in.string();
  std::set<std::string> names;
  d.files.resize(in.count(77));
  for (auto& f : d.files) {
    f.name = in.string();
    const auto kind = in.get<uint8_t>();
    f.kind = static_cast<TareFile::Kind>(kind);
    f.bytes = in.get<int64_t>(), f.sha = in.get<Sha256Bytes>(), f.stored = in.stream();
    if (!in.ok) break;
    if (kind > 2 || f.bytes < 0 || !is_safe(f.name) || !names.insert(f.name).second)
      return failure(Code::corrupt, what, ": its file ", quoted(f.name), " has a name or a kind that cannot be");
    if (f.kind == TareFile::Kind::plain && f.stored.bytes != f.bytes)
      return failure(Code::corrupt, what, ": its file ", quoted(f.name), " has ", f.bytes, " bytes, ", f.stored.bytes,
                     " are stored");
    TARE_RETURN_IF_ERROR(
        check_stream(f.stored, plain_pieces(f.stored.bytes), d.directory_offset, "file " + quoted(f.name)).in(what));
  }
  d.tensors.resize(in.count(94));
  for (auto& t : d.tensors) {
    TARE_RETURN_IF_ERROR(read_tensor(in, d.directory_offset, &t).in(what));
    if (!in.ok) break;
  }
  if (!in.ok || !in.done()) return failure(Code::corrupt, what, ": its directory ends early or late");
  TARE_RETURN_IF_ERROR(check_places(d).in(what));
  TARE_RETURN_IF_ERROR(check_shards(d).in(what));
  return d;
}

}  // namespace tare
