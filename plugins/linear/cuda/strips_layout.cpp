#include "plugins/linear/cuda/strips_layout.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "plugins/linear/cuda/catalog.hpp"
#include "plugins/linear/cuda/pack_host.hpp"
#include "plugins/linear/cuda/strips_code.hpp"
#include "plugins/linear/cuda/strips_encoder.hpp"

namespace tare::linear_cuda {
namespace {

// The multiprocessors that matrices are cut for, on every GPU: those of the H100 and H200.
constexpr int32_t kPlannedMultiprocessors = 132;

Placement placement_of(const WeightInfo& weight) noexcept {
  return choose_placement(static_cast<int32_t>(weight.outputs()), static_cast<int32_t>(weight.inputs()),
                          kPlannedMultiprocessors);
}

Status check_rows(std::string_view layout, const WeightInfo& weight, int64_t begin, int64_t end, bool granules) {
  if (Verdict v = fits_records(weight); !v)
    return failure(Code::unsupported, layout, ": ", weight.name, ": ", v.reason);
  if (begin < 0 || begin > end || end > weight.outputs())
    return failure(Code::internal, layout, ": rows ", begin, " to ", end, " of ", weight.name, " which has ",
                   weight.outputs());
  if (granules && (begin % kStripRows != 0 || end % kStripRows != 0))
    return failure(Code::internal, layout, ": rows ", begin, " to ", end, " of ", weight.name,
                   ", expected multiples of ", kStripRows);
  return {};
}

// The tail behind the overflow list, and the head: written once, with the first rows.
void write_ends(const StripsHead& head, void* out) {
  auto* const base = static_cast<std::byte*>(out);
  std::memcpy(base, &head, sizeof head);
  const int64_t end = head.overflow_at + head.overflow_entries * 4;
  std::memset(base + end, 0, static_cast<size_t>(head.bytes - end));
}

StripsHead dense_head(const WeightInfo& weight) {
  return strips_head(WeightCode::kDense, order_of(weight), leaves_of(weight), 1, 0, 0);
}

Status encode_dense(std::string_view layout, const StripsHead& head, const WeightInfo& weight, int64_t row_begin,
                    int64_t row_end, const void* plain, void* out) {
  TARE_RETURN_IF_ERROR(check_rows(layout, weight, row_begin, row_end, true));
  if (row_begin == 0) write_ends(head, out);
  for (int64_t row = row_begin; row < row_end; row += kStripRows)
    encode_dense_strip(head, static_cast<int32_t>(row / kStripRows),
                       static_cast<const uint16_t*>(plain) + (row - row_begin) * weight.inputs(),
                       static_cast<std::byte*>(out));
  return {};
}

std::string hundredths(double value) {
  const auto n = static_cast<int64_t>(std::lround(value * 100));
  return text(n / 100, ".", n / 10 % 10, n % 10);
}

class StripsPlan final : public LayoutPlan {
 public:
  StripsPlan(std::string_view layout, WeightInfo weight, StripsHead head, std::vector<uint32_t> overflow,
             uint64_t escapes, std::string reason)
      : layout_(layout),
        weight_(std::move(weight)),
        head_(head),
        overflow_(std::move(overflow)),
        escapes_(escapes),
        reason_(std::move(reason)) {}
  int64_t bytes() const noexcept override { return head_.bytes; }
  bool pays() const noexcept override { return code() == WeightCode::kW12; }
  std::string note() const override {
    const auto numbers = static_cast<double>(int64_t{head_.rows} * head_.columns);
    std::string out = text(pays() ? "w12, " : "dense, ", hundredths(8 * static_cast<double>(head_.bytes) / numbers),
                           " bits a weight");
    if (pays())
      out += text(", escapes ", hundredths(100 * static_cast<double>(escapes_) / numbers), " %, headers of ",
                  header_bytes(code(), head_.header_blocks), " bytes");
    return reason_.empty() ? out : out + ": " + reason_;
  }
  Status encode(int64_t row_begin, int64_t row_end, const void* plain, void* out) const override {
    if (!pays()) return encode_dense(layout_, head_, weight_, row_begin, row_end, plain, out);
    TARE_RETURN_IF_ERROR(check_rows(layout_, weight_, row_begin, row_end, true));
    if (row_begin == 0) write_ends(head_, out);
    for (int64_t row = row_begin; row < row_end; row += kStripRows) {
      const auto strip = static_cast<size_t>(row / kStripRows);
      const int64_t wrote = encode_w12_strip(head_, static_cast<int32_t>(strip),
                                             static_cast<const uint16_t*>(plain) + (row - row_begin) * weight_.inputs(),
                                             overflow_[strip], static_cast<std::byte*>(out));
      if (wrote != int64_t{overflow_[strip + 1]} - overflow_[strip])
        return failure(Code::internal, layout_, ": rows ", row, " of ", weight_.name,
                       " are not those that were surveyed");
    }
    return {};
  }

 private:
  WeightCode code() const noexcept { return static_cast<WeightCode>(head_.code); }
  const std::string layout_;
  const WeightInfo weight_;
  const StripsHead head_;
  const std::vector<uint32_t> overflow_;  // by strip, and the end: index of its first entry
  const uint64_t escapes_;
  const std::string reason_;
};

class StripsSurvey final : public LayoutSurvey {
 public:
  StripsSurvey(std::string_view layout, WeightInfo weight)
      : layout_(layout), weight_(std::move(weight)), strips_(static_cast<size_t>(weight_.outputs() / kStripRows)) {}
  Status look(int64_t row_begin, int64_t row_end, const void* plain) noexcept override {
    TARE_RETURN_IF_ERROR(check_rows(layout_, weight_, row_begin, row_end, true));
    for (int64_t row = row_begin; row < row_end; row += kStripRows)
      strips_[static_cast<size_t>(row / kStripRows)] =
          count_strip(static_cast<const uint16_t*>(plain) + (row - row_begin) * weight_.inputs(), weight_.inputs());
    return {};
  }
  Result<std::unique_ptr<LayoutPlan>> finish() override {
    std::array<uint64_t, 256> total{};
    int32_t least = 255, most = 0;
    bool has_255 = false;
    for (const StripCounts& s : strips_) {
      for (size_t i = 0; i < s.exponents.size(); ++i) total[s.exponents[i]] += s.counts[i];
      least = std::min(least, s.least), most = std::max(most, s.most), has_255 |= s.has_255;
    }
    const WindowChoice window = choose_window(total);
    const int shift = kDecodedExponent - window.base;
    const auto numbers = static_cast<double>(weight_.outputs() * weight_.inputs());
    const auto dense = [&](std::string reason) {
      return std::unique_ptr<LayoutPlan>(std::make_unique<StripsPlan>(
          layout_, weight_, dense_head(weight_), std::vector<uint32_t>{}, uint64_t{0}, std::move(reason)));
    };
    if (has_255) return dense("w12 does not pay: there are infinities or NaN");
    if (least + shift < 1 || most + shift > 254)
      return dense(text("w12 does not pay: exponents from ", least, " to ", most, " leave the range that it holds"));
    if (static_cast<double>(window.outside) > kMostEscapes * numbers)
      return dense(text("w12 does not pay: ", hundredths(100 * static_cast<double>(window.outside) / numbers),
                        " % of the numbers lie outside its ", kWindow, " exponents, at most 1 %"));
    const RecordOrder order = order_of(weight_);
    std::vector<uint32_t> overflow;
    for (int32_t blocks = 1;;) {
      bool crowded = false;
      overflow = overflow_of(window.base, blocks, crowded);
      const int32_t better = crowded ? 0 : choose_header_blocks(blocks, overflow.back(), order.records());
      if (better == 0) return dense("w12 does not pay: its escapes lie in heaps");
      if (better == blocks) {
        const StripsHead head =
            strips_head(WeightCode::kW12, order, leaves_of(weight_), blocks, window.base, overflow.back());
        return std::unique_ptr<LayoutPlan>(
            std::make_unique<StripsPlan>(layout_, weight_, head, std::move(overflow), window.outside, std::string()));
      }
      blocks = better;
    }
  }

 private:
  // Index of each strip's first overflow entry, and the end. crowded: a record has more escapes than a header counts,
  // or the list more entries than one reaches.
  std::vector<uint32_t> overflow_of(int32_t base, int32_t header_blocks, bool& crowded) const {
    std::vector<uint32_t> out{0};
    const auto in_header = static_cast<uint32_t>(escapes_in_header(header_blocks));
    uint64_t at = 0;
    for (const StripCounts& s : strips_) {
      size_t i = 0;
      for (const uint8_t kinds : s.kinds) {
        uint32_t escapes = 0;
        for (const size_t end = i + kinds; i < end; ++i)
          if (s.exponents[i] < base || s.exponents[i] >= base + kWindow) escapes += s.counts[i];
        crowded |= escapes > 255;
        at += escapes > in_header ? escapes - in_header : 0;
      }
      crowded |= at >= uint64_t{1} << 24;
      out.push_back(static_cast<uint32_t>(at));
    }
    return out;
  }

  const std::string layout_;
  const WeightInfo weight_;
  std::vector<StripCounts> strips_;
};

class StripsLayout final : public Layout {
 public:
  StripsLayout(std::string_view id, bool coded, jit::Jit* jit) : id_(id), coded_(coded), jit_(jit) {}
  std::string_view id() const noexcept override { return id_; }
  std::string_view device_kind() const noexcept override { return "cuda"; }
  Verdict supports(const WeightInfo& weight) const noexcept override { return fits_records(weight); }
  int64_t bytes(const WeightInfo& weight) const noexcept override {
    return fits_records(weight) ? dense_head(weight).bytes : 0;
  }
  int64_t expected_bytes(const WeightInfo& weight) const noexcept override {
    if (!coded_ || !fits_records(weight)) return bytes(weight);
    // Trained weights: three of ten thousand are escapes, and few records have more than fit into a header.
    const RecordOrder order = order_of(weight);
    return strips_head(WeightCode::kW12, order, leaves_of(weight), 1, 112, order.records() / 64).bytes;
  }
  int64_t row_granule() const noexcept override { return kStripRows; }
  Result<std::unique_ptr<LayoutSurvey>> survey(const WeightInfo& weight) const override {
    if (!coded_) return std::unique_ptr<LayoutSurvey>();
    if (Verdict v = supports(weight); !v) return failure(Code::unsupported, id_, ": ", weight.name, ": ", v.reason);
    return std::unique_ptr<LayoutSurvey>(std::make_unique<StripsSurvey>(id_, weight));
  }
  Result<std::unique_ptr<DeviceEncoder>> device_encoder(Device& device) const override {
    if (jit_ == nullptr) return std::unique_ptr<DeviceEncoder>();
    return make_strips_encoder(*jit_, device, coded_);
  }
  Status encode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* plain,
                void* out) const override {
    TARE_RETURN_IF_ERROR(check_rows(id_, weight, row_begin, row_end, true));
    return encode_dense(id_, dense_head(weight), weight, row_begin, row_end, plain, out);
  }
  Status decode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* in,
                void* plain) const override {
    TARE_RETURN_IF_ERROR(check_rows(id_, weight, row_begin, row_end, false));
    auto head = read_head(in, INT64_MAX, weight);
    if (!head.ok()) return std::move(head).status().in(id_);
    for (int64_t row = row_begin; row < row_end;) {
      const int64_t first = row % kStripRows, rows = std::min<int64_t>(kStripRows - first, row_end - row);
      if (!decode_strip(*head, static_cast<int32_t>(row / kStripRows), static_cast<int32_t>(first),
                        static_cast<int32_t>(first + rows), static_cast<const std::byte*>(in),
                        static_cast<uint16_t*>(plain) + (row - row_begin) * weight.inputs()))
        return failure(Code::corrupt, id_, ": ", weight.name, ": a header points past the ", head->overflow_entries,
                       " entries of the overflow list");
      row += rows;
    }
    return {};
  }

 private:
  const std::string_view id_;
  const bool coded_;
  jit::Jit* const jit_;  // null: the host alone lays out
};

}  // namespace

Verdict fits_records(const WeightInfo& weight) noexcept {
  if (weight.dtype != DType::bf16) return Verdict::no("holds bf16, not ", name(weight.dtype));
  const int64_t rows = weight.outputs(), columns = weight.inputs();
  if (rows < kStripRows || rows % kStripRows != 0)
    return Verdict::no("N = ", rows, " is not a multiple of ", kStripRows);
  if (columns < kChunkColumns || columns % kChunkColumns != 0)
    return Verdict::no("K = ", columns, " is not a multiple of ", kChunkColumns);
  if (rows > INT32_MAX || columns > INT32_MAX) return Verdict::no("[", rows, ", ", columns, "] is too large");
  return Verdict::yes();
}
RecordOrder order_of(const WeightInfo& weight) noexcept {
  return {static_cast<int32_t>(weight.outputs()), static_cast<int32_t>(weight.inputs()),
          placement_of(weight).strips_per_block};
}
int32_t leaves_of(const WeightInfo& weight) noexcept { return placement_of(weight).leaves; }

Result<StripsHead> read_head(const void* data, int64_t bytes, const WeightInfo& weight) {
  StripsHead head;
  if (bytes < kStripsHeadBytes) return invalid(weight.name, " has ", bytes, " bytes, expected a head of 128");
  std::memcpy(&head, data, sizeof head);
  if (std::memcmp(head.magic, kStripsMagic, sizeof kStripsMagic) != 0 || head.version != kStripsVersion)
    return invalid(weight.name, " has no head of version ", kStripsVersion);
  if (head.rows != weight.outputs() || head.columns != weight.inputs())
    return invalid("the head is of [", head.rows, ", ", head.columns, "], expected [", weight.outputs(), ", ",
                   weight.inputs(), "] of ", weight.name);
  const bool coded = head.code == static_cast<int32_t>(WeightCode::kW12);
  if ((!coded && head.code != 0) || head.strips_per_block < 1 ||
      head.rows % (kStripRows * head.strips_per_block) != 0 || head.leaves < 1 ||
      head.columns % (kChunkColumns * head.leaves) != 0 || head.overflow_entries < 0 ||
      head.overflow_entries >= int64_t{1} << 24 ||
      (coded && ((head.header_blocks != 1 && head.header_blocks != 2 && head.header_blocks != 4) || head.base < 1 ||
                 head.base + kWindow > 255)))
    return invalid(weight.name, " has a head that contradicts itself");
  const StripsHead wanted =
      strips_head(static_cast<WeightCode>(head.code), {head.rows, head.columns, head.strips_per_block}, head.leaves,
                  head.header_blocks, head.base, head.overflow_entries);
  if (std::memcmp(&wanted, &head, sizeof head) != 0) return invalid(weight.name, " has a head that contradicts itself");
  return head;
}

MatrixShape shape_of(const StripsHead& h) noexcept {
  return {.code = static_cast<WeightCode>(h.code),
          .header_blocks = h.header_blocks,
          .order = {h.rows, h.columns, h.strips_per_block},
          .leaves = h.leaves,
          .base = h.base};
}

std::unique_ptr<Layout> make_dense_strips(jit::Jit* jit) {
  return std::make_unique<StripsLayout>(kDenseStrips, false, jit);
}
std::unique_ptr<Layout> make_w12_strips(jit::Jit* jit) { return std::make_unique<StripsLayout>(kW12Strips, true, jit); }

}  // namespace tare::linear_cuda
