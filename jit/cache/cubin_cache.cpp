#include "jit/cache/cubin_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "jit/source/hash.hpp"

namespace tare::jit {
namespace {

namespace fs = std::filesystem;

// An entry: magic with the format's version, hash of the rest, then the fields, little-endian as this machine is.
constexpr std::string_view kMagic = "TAREKRN2";
constexpr size_t kHashDigits = 32;

struct Fixed {
  int32_t registers, stack_bytes, spill_store_bytes, spill_load_bytes;
  uint32_t serialized_wgmma, symbol_bytes, ptx_hash_bytes, compiler_bytes;
  uint64_t cubin_bytes;
};
static_assert(sizeof(Fixed) == 40, "the entry's fixed part has no padding");

std::string last_error() { return std::strerror(errno); }

Status write_whole(int file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure(tare::Code::unavailable, "cannot write ", path, ": ", last_error());
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

// A name that no other thread or process uses.
std::string temporary_name(const std::string& path) {
  static std::atomic<uint64_t> counter{0};  // only makes names differ
  return path + "." + std::to_string(::getpid()) + "." + std::to_string(counter.fetch_add(1)) + ".tmp";
}

}  // namespace

std::string encode_entry(const CompiledKernel& kernel) {
  const KernelResources& r = kernel.resources;
  const Fixed fixed{r.registers,
                    r.stack_bytes,
                    r.spill_store_bytes,
                    r.spill_load_bytes,
                    r.serialized_wgmma ? 1u : 0u,
                    static_cast<uint32_t>(kernel.symbol.size()),
                    static_cast<uint32_t>(kernel.ptx_hash.size()),
                    static_cast<uint32_t>(kernel.compiler.size()),
                    kernel.cubin.size()};
  std::string body(reinterpret_cast<const char*>(&fixed), sizeof fixed);
  body += kernel.symbol + kernel.ptx_hash + kernel.compiler;
  body.append(reinterpret_cast<const char*>(kernel.cubin.data()), kernel.cubin.size());
  return std::string(kMagic) + hash_text(body) + body;
}

Result<CompiledKernel> decode_entry(std::string_view bytes) {
  const size_t head = kMagic.size() + kHashDigits;
  if (bytes.size() < head + sizeof(Fixed) || !bytes.starts_with(kMagic)) {
    return failure(tare::Code::corrupt, "a kernel cache entry of ", bytes.size(), " bytes has no header");
  }
  const std::string_view body = bytes.substr(head);
  if (hash_text(body) != bytes.substr(kMagic.size(), kHashDigits)) {
    return failure(tare::Code::corrupt, "a kernel cache entry's content does not match its hash");
  }
  Fixed fixed;
  std::memcpy(&fixed, body.data(), sizeof fixed);
  const uint64_t rest = body.size() - sizeof fixed;
  const uint64_t words = uint64_t{fixed.symbol_bytes} + fixed.ptx_hash_bytes + fixed.compiler_bytes;
  if (words > rest || rest - words != fixed.cubin_bytes) {
    return failure(tare::Code::corrupt, "a kernel cache entry's sizes do not add up");
  }
  CompiledKernel out;
  out.resources = {fixed.registers, fixed.stack_bytes, fixed.spill_store_bytes, fixed.spill_load_bytes,
                   fixed.serialized_wgmma != 0};
  size_t at = sizeof fixed;
  for (const auto& [word, length] : {std::pair(&out.symbol, fixed.symbol_bytes),
                                     {&out.ptx_hash, fixed.ptx_hash_bytes},
                                     {&out.compiler, fixed.compiler_bytes}})
    word->assign(body.substr(at, length)), at += length;
  const std::string_view cubin = body.substr(at);
  out.cubin.assign(cubin.begin(), cubin.end());
  out.from_cache = true;
  return out;
}

std::optional<CompiledKernel> CubinCache::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  std::ifstream in(path(key), std::ios::binary);
  if (!in) return std::nullopt;
  const std::string bytes(std::istreambuf_iterator<char>(in), {});
  auto entry = decode_entry(bytes);
  std::error_code ignored;
  if (!entry) {
    fs::remove(path(key), ignored);
    return std::nullopt;
  }
  fs::last_write_time(path(key), fs::file_time_type::clock::now(),
                      ignored);  // "used": a read-only folder keeps its times
  return std::move(*entry);
}

Status CubinCache::store(const std::string& key, const CompiledKernel& kernel) const {
  if (folder_.empty()) return {};
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return failure(tare::Code::unavailable, "cannot create the kernel cache ", folder_, ": ", error.message());
  const std::string target = path(key), temporary = temporary_name(target);
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0)
    return failure(tare::Code::unavailable, "cannot write to the kernel cache ", folder_, ": ", last_error());
  Status written = write_whole(file, encode_entry(kernel), temporary);
  if (written.ok() && ::fsync(file) != 0)
    written = failure(tare::Code::unavailable, "cannot sync ", temporary, ": ", last_error());
  ::close(file);
  if (written.ok() && ::rename(temporary.c_str(), target.c_str()) != 0) {
    written = failure(tare::Code::unavailable, "cannot publish ", target, ": ", last_error());
  }
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return written;
  }
  int64_t total = 0;
  const std::vector<Entry> entries = list();
  for (const Entry& entry : entries) total += entry.bytes;
  for (const Entry& entry : entries) {
    if (total <= max_bytes_) break;
    if (entry.key == key) continue;
    fs::remove(path(entry.key), error);
    total -= entry.bytes;
  }
  return {};
}

std::vector<CubinCache::Entry> CubinCache::list() const {
  std::vector<Entry> out;
  std::error_code ignored;
  for (const auto& file : fs::directory_iterator(folder_, ignored)) {
    if (file.path().extension() != ".kernel") continue;
    struct stat status {};
    if (::stat(file.path().c_str(), &status) != 0) continue;
    Entry entry{
        file.path().stem().string(), static_cast<int64_t>(status.st_size), static_cast<int64_t>(status.st_mtime), {}};
    // The symbol lies in the fixed head: no need to read the cubin.
    std::ifstream in(file.path(), std::ios::binary);
    std::string head(kMagic.size() + kHashDigits + sizeof(Fixed), '\0');
    if (in.read(head.data(), static_cast<std::streamsize>(head.size())) && std::string_view(head).starts_with(kMagic)) {
      Fixed fixed;
      std::memcpy(&fixed, head.data() + kMagic.size() + kHashDigits, sizeof fixed);
      if (fixed.symbol_bytes < 1 << 16) {
        entry.symbol.resize(fixed.symbol_bytes);
        if (!in.read(entry.symbol.data(), static_cast<std::streamsize>(entry.symbol.size()))) entry.symbol.clear();
      }
    }
    out.push_back(std::move(entry));
  }
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) {
    return a.last_used != b.last_used ? a.last_used < b.last_used : a.key < b.key;
  });
  return out;
}

Result<int64_t> CubinCache::clear() const {
  int64_t removed = 0;
  for (const Entry& entry : list()) {
    std::error_code error;
    fs::remove(path(entry.key), error);
    if (error) return failure(tare::Code::unavailable, "cannot remove ", path(entry.key), ": ", error.message());
    ++removed;
  }
  return removed;
}

}  // namespace tare::jit
