// A layout's check() is what stands between a file and kernels: whatever it lets pass must be readable.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "core/plugin/check_parts.hpp"

namespace tare {

uint64_t next_bits(uint64_t& state) noexcept {
  uint64_t z = (state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

std::vector<std::byte> numbers_like_weights(DType dtype, size_t bytes) {
  std::vector<std::byte> out(bytes);
  const auto size = static_cast<size_t>(size_of(dtype));
  uint64_t state = 42;
  for (size_t i = 0; i < bytes; ++i) {
    const uint64_t bits = next_bits(state);
    out[i] = static_cast<std::byte>(bits);
    if (i % size == size - 1 && bits >> 54 != 0)
      out[i] = static_cast<std::byte>((bits & 0x80) | (0x3a + (bits >> 8) % 4));
  }
  return out;
}

namespace {

constexpr size_t kAlignment = 256;

// Memory whose end is followed by a page that nobody may touch; it begins at a multiple of kAlignment, so that up to
// kAlignment - 1 bytes lie between.
class Fenced {
 public:
  explicit Fenced(size_t most) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    room_ = (most + page - 1) / page * page + page;
    void* at = ::mmap(nullptr, room_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return;
    base_ = static_cast<std::byte*>(at), bytes_ = room_ + page;
    ::mprotect(base_ + room_, page, PROT_NONE);
  }
  ~Fenced() {
    if (base_ != nullptr) ::munmap(base_, bytes_);
  }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;
  explicit operator bool() const { return base_ != nullptr; }
  std::span<std::byte> put(std::span<const std::byte> content) {
    std::byte* const to = base_ + (room_ - content.size()) / kAlignment * kAlignment;
    if (!content.empty()) std::memcpy(to, content.data(), content.size());
    return {to, content.size()};
  }

 private:
  std::byte* base_ = nullptr;
  size_t room_ = 0, bytes_ = 0;
};

Result<std::vector<std::byte>> lay_out(const Layout& layout, const WeightInfo& weight,
                                       std::span<const std::byte> plain) {
  const int64_t rows = weight.outputs();
  TARE_ASSIGN_OR_RETURN(const auto survey, layout.survey(weight));
  std::unique_ptr<LayoutPlan> plan;
  if (survey != nullptr) {
    TARE_RETURN_IF_ERROR(survey->look(0, rows, plain.data()));
    TARE_ASSIGN_OR_RETURN(plan, survey->finish());
  }
  std::vector<std::byte> out(static_cast<size_t>(plan != nullptr ? plan->bytes() : layout.bytes(weight)));
  TARE_RETURN_IF_ERROR(plan != nullptr ? plan->encode(0, rows, plain.data(), out.data())
                                       : layout.encode(weight, 0, rows, plain.data(), out.data()));
  return out;
}

// One way to damage bytes; headers and lists stand at the ends, so half of it falls there.
std::vector<std::byte> damaged(std::vector<std::byte> bytes, uint64_t& state) {
  const uint64_t bits = next_bits(state), where = next_bits(state), what = next_bits(state);
  const size_t size = bytes.size(), window = bits & 1 ? std::min<size_t>(size, 256) : size;
  const size_t at = bits & 2 ? where % window : size - 1 - where % window;
  switch (bits >> 8 & 7) {
    case 0:
      bytes.resize(where % size);
      break;
    case 1:
      bytes.resize(size + 1 + where % 300, std::byte{0});
      break;
    case 2:
    case 3:
      std::memcpy(bytes.data() + at, &what, std::min<size_t>(8, size - at));
      break;
    case 4:
      std::memset(bytes.data() + at, 0xff, std::min<size_t>(where % 64, size - at));
      break;
    default:
      bytes[at] ^= static_cast<std::byte>(1u << (bits >> 16 & 7));
  }
  return bytes;
}

void damage_weight(const Layout& layout, const WeightInfo& weight, LayoutDamage& out) {
  const int64_t rows = weight.outputs(), row_bytes = weight.inputs() * size_of(weight.dtype);
  const auto plain = numbers_like_weights(weight.dtype, static_cast<size_t>(rows * row_bytes));
  const auto good = lay_out(layout, weight, plain);
  if (!good.ok()) {
    out.wrong = text("it could not be laid out: ", good.status().message());
    return;
  }
  Fenced fenced(good->size() + 1024);
  if (!fenced) return;
  out.is_checked = bool(layout.check(weight, fenced.put(*good)));
  if (!out.is_checked) return;
  std::vector<std::byte> back(plain.size());
  uint64_t state = 7;
  for (int i = 0; i < 300; ++i) {
    const auto in = fenced.put(damaged(*good, state));
    ++out.tried;
    if (!layout.check(weight, in)) {
      ++out.refused;
      continue;
    }
    if (in.size() != good->size() && layout.bytes(weight) < static_cast<int64_t>(in.size())) {
      out.wrong = text("check() lets ", in.size(), " bytes pass, bytes() says at most ", layout.bytes(weight));
      return;
    }
    // What comes out is damaged numbers; where it is read from is the point.
    static_cast<void>(layout.decode(weight, 0, rows, in.data(), back.data()));
    for (const int64_t row : {int64_t{0}, rows / 2, rows - 1})
      static_cast<void>(layout.decode(weight, row, row + 1, in.data(), back.data()));
  }
}

}  // namespace

LayoutDamage damage_layout(const Layout& layout) {
  LayoutDamage out;
  constexpr int64_t kShapes[][2] = {{3, 5}, {31, 33}, {64, 64}, {257, 512}, {96, 1024}};
  for (const auto& [rows, columns] : kShapes)
    for (DType dtype : {DType::bf16, DType::f32}) {
      const WeightInfo weight{.name = "weight", .dtype = dtype, .shape = {rows, columns}, .input_dims = 1};
      if (!layout.supports(weight)) continue;
      damage_weight(layout, weight, out);
      if (!out.wrong.empty()) {
        out.wrong = text(name(dtype), " [", rows, ", ", columns, "]: ", out.wrong);
        return out;
      }
      if (!out.is_checked) return out;
    }
  return out;
}

}  // namespace tare
