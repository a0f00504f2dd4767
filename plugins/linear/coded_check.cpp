#include "plugins/linear/coded_check.hpp"

#include <algorithm>
#include <vector>

#include "plugins/linear/coded_pack.hpp"

namespace tare::linear {
namespace {

template <class T>
T value_at(std::span<const std::byte> in, int64_t at) noexcept {
  T value;
  std::memcpy(&value, in.data() + at, sizeof value);
  return value;
}

// One coded matrix whose header and sizes hold.
class Checker {
 public:
  Checker(const CodedHeader& header, std::span<const std::byte> in)
      : h_(header), in_(in), chunks_(num_chunks(header.inputs)), step_(chunk_bytes(header.code)) {}

  Verdict strip(int64_t strip, int64_t begin, int64_t end) {  // of its escapes, from the first escape of all
    escapes_ = in_.data() + h_.escapes_at + begin;
    left_ = end - begin;
    return h_.code == Coding::split ? split(strip) : triples(strip);
  }

 private:
  Verdict split(int64_t strip) {
    const int64_t words = left_ / 4;
    if (left_ % 4 != 0 || words < 1 || word(words - 1) != kNoEscape)
      return Verdict::no("the escapes of strip ", strip, " do not end");
    int64_t before = -1;
    for (int64_t i = 0; i + 1 < words; ++i) {
      const int64_t place = word(i) >> 8;  // of the strip's numbers
      if (place <= before || place >= chunks_ * kRecordsPerChunk * kRecord)
        return Verdict::no("the escapes of strip ", strip, " are out of order");
      before = place;
    }
    int64_t next = 0;
    for (int64_t c = 0; c < chunks_; ++c) {
      if (!has_padding(strip, c)) continue;
      while (word(next) >> 19 < static_cast<uint32_t>(c)) ++next;  // the end is above all chunks
      EscapeCursor cursor{escapes_ + 4 * next};
      decode_split_chunk(h_, chunk(strip, c), c, cursor, dense_);
      if (!padding_is_finite(strip, c)) return Verdict::no("its padding is not finite");
    }
    return Verdict::yes();
  }

  Verdict triples(int64_t strip) {
    int64_t taken = 0;
    for (int64_t c = 0; c < chunks_; ++c) {
      const std::byte* const at = chunk(strip, c);
      int64_t here = 0;
      for (int64_t record = 0; record < kRecordsPerTile; ++record)
        for (int64_t tile = 0; tile < kTiles; ++tile) here += count_triple_escapes(at + triples_codes_at(record, tile));
      if (here > left_ - taken) break;
      if (has_padding(strip, c)) {
        EscapeCursor cursor{escapes_ + taken};
        decode_triples_chunk(h_, at, cursor, dense_);
        if (!padding_is_finite(strip, c)) return Verdict::no("its padding is not finite");
      }
      taken += here;
      if (c + 1 == chunks_ && taken == left_) return Verdict::yes();
    }
    return chunks_ == 0 && left_ == 0 ? Verdict::yes()
                                      : Verdict::no("strip ", strip, " has ", left_, " escapes, its codes want others");
  }

  uint32_t word(int64_t i) const noexcept {
    uint32_t w;
    std::memcpy(&w, escapes_ + 4 * i, 4);
    return w;
  }
  const std::byte* chunk(int64_t strip, int64_t c) const noexcept {
    return in_.data() + kCodedHeaderBytes + (strip * chunks_ + c) * step_;
  }
  bool has_padding(int64_t strip, int64_t c) const noexcept {
    return (strip + 1) * kStripOutputs > h_.outputs || (c + 1) * kChunkInputs > h_.inputs;
  }
  // Kernels multiply padding by zeros.
  bool padding_is_finite(int64_t strip, int64_t c) const noexcept {
    for (int64_t i = 0; i < kChunkBytes / 2; ++i) {
      const int64_t output = strip * kStripOutputs + i / 512 * kTileOutputs + i % 32 / 2;
      const int64_t input = c * kChunkInputs + i % 512 / 32 * 2 + i % 2;
      if ((output >= h_.outputs || input >= h_.inputs) && (dense_[i] >> 7 & 255) == 255) return false;
    }
    return true;
  }

  const CodedHeader& h_;
  const std::span<const std::byte> in_;
  const int64_t chunks_, step_;
  const std::byte* escapes_ = nullptr;
  int64_t left_ = 0;  // bytes of escapes
  uint16_t dense_[kChunkBytes / 2];
};

bool is_table(const CodedHeader& h) noexcept {
  if (h.code == Coding::triples)
    return h.table[0] == 0 && std::all_of(h.table + 8, h.table + 16, [](uint8_t b) { return b == 0; });
  const int first = h.table[0];
  for (int n = 0; n < 16; ++n)
    if (h.table[n] != ((n & 8 ? 0x80 : 0) | (first + (n & 7)))) return false;
  return first + 7 < 128;
}

}  // namespace

CodedHeader coded_header(const WeightInfo& weight, Coding code) noexcept {
  CodedHeader h;
  h.code = code, h.outputs = weight.outputs(), h.inputs = weight.inputs();
  h.bytes = kCodedHeaderBytes + num_strips(h.outputs) * num_chunks(h.inputs) * chunk_bytes(code);
  return h;
}

Verdict check_coded(const WeightInfo& weight, Coding densest, const Layout& dense, std::span<const std::byte> in) {
  const auto size = static_cast<int64_t>(in.size());
  if (size < kCodedHeaderBytes) return Verdict::no("it has ", size, " bytes, its header takes ", kCodedHeaderBytes);
  const auto header = value_at<CodedHeader>(in, 0);
  if (header.code > densest)
    return Verdict::no("its header names code ", static_cast<uint32_t>(header.code), ", expected at most ",
                       static_cast<uint32_t>(densest));
  CodedHeader wanted = coded_header(weight, header.code);
  const auto as_wanted = [&] { return std::memcmp(&wanted, &header, sizeof header) == 0; };
  if (header.code == Coding::plain) {
    if (!as_wanted()) return Verdict::no("its header is not that of [", weight.outputs(), ", ", weight.inputs(), "]");
    return dense.check(weight, in.subspan(static_cast<size_t>(kCodedHeaderBytes)));
  }
  const int64_t strips = num_strips(wanted.outputs);
  wanted.index_at = wanted.bytes, wanted.escapes_at = wanted.index_at + (strips + 1) * 8;
  if (size < wanted.escapes_at) return Verdict::no("it has ", size, " bytes, its index ends at ", wanted.escapes_at);
  const auto offset = [&](int64_t strip) { return value_at<int64_t>(in, wanted.index_at + 8 * strip); };
  bool rises = offset(0) == 0;
  for (int64_t s = 0; s < strips; ++s) rises = rises && offset(s) <= offset(s + 1);
  const int64_t end = offset(strips);
  if (!rises || end > size - wanted.escapes_at) return Verdict::no("its index of escapes does not rise within it");
  const bool split = header.code == Coding::split;
  wanted.escapes = split ? end / 4 - strips : end;
  wanted.bytes = round_up(wanted.escapes_at + end + kCodedTailBytes, 64);
  std::copy(std::begin(header.table), std::end(header.table), wanted.table);
  if (!as_wanted() || wanted.bytes != size)
    return Verdict::no("its header is not that of [", weight.outputs(), ", ", weight.inputs(), "] in ", size, " bytes");
  if (!is_table(header)) return Verdict::no("its table is none of this code");
  const auto tail = in.subspan(static_cast<size_t>(wanted.escapes_at + end));
  if (std::any_of(tail.begin(), tail.end(), [](std::byte b) { return b != std::byte{0}; }))
    return Verdict::no("it does not end with zeros");
  Checker checker(header, in);
  for (int64_t s = 0; s < strips; ++s)
    if (Verdict v = checker.strip(s, offset(s), offset(s + 1)); !v) return v;
  return Verdict::yes();
}

}  // namespace tare::linear
