#include "plugins/linear/cuda/strips_layout.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "plugins/linear/cuda/catalog.hpp"
#include "plugins/linear/cuda/pack_host.hpp"
#include "plugins/linear/cuda/strips_check.hpp"
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
  bool pays() const noexcept override { return code() != WeightCode::kDense; }
  std::string note() const override {
    const auto numbers = static_cast<double>(int64_t{head_.rows} * head_.columns);
    constexpr std::string_view names[] = {"dense, ", "w12, ", "w11, "};
    std::string out = text(names[static_cast<size_t>(head_.code)],
                           hundredths(8 * static_cast<double>(head_.bytes) / numbers), " bits a weight");
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
      const int64_t wrote =
          encode_coded_strip(head_, static_cast<int32_t>(strip),
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
  StripsSurvey(std::string_view layout, WeightInfo weight, WeightCode densest)
      : layout_(layout),
        weight_(std::move(weight)),
        densest_(densest),
        strips_(static_cast<size_t>(weight_.outputs() / kStripRows)) {}
  Status look(int64_t row_begin, int64_t row_end, const void* plain) noexcept override {
    TARE_RETURN_IF_ERROR(check_rows(layout_, weight_, row_begin, row_end, true));
    for (int64_t row = row_begin; row < row_end; row += kStripRows)
      strips_[static_cast<size_t>(row / kStripRows)] =
          count_strip(static_cast<const uint16_t*>(plain) + (row - row_begin) * weight_.inputs(), weight_.inputs());
    return {};
  }
  Result<std::unique_ptr<LayoutPlan>> finish() override {
    for (const StripCounts& s : strips_) {
      for (size_t i = 0; i < s.exponents.size(); ++i) total_[s.exponents[i]] += s.counts[i];
      least_ = std::min(least_, s.least), most_ = std::max(most_, s.most), has_255_ |= s.has_255;
    }
    std::string reason;
    if (densest_ == WeightCode::kW11)
      if (auto plan = planned(WeightCode::kW11, reason)) return plan;
    if (auto plan = planned(WeightCode::kW12, reason)) return plan;
    return std::unique_ptr<LayoutPlan>(std::make_unique<StripsPlan>(
        layout_, weight_, dense_head(weight_), std::vector<uint32_t>{}, uint64_t{0}, std::move(reason)));
  }

 private:
  // Null, with the reason added, when the code does not pay.
  std::unique_ptr<LayoutPlan> planned(WeightCode code, std::string& reason) const {
    const std::string_view name = code == WeightCode::kW11 ? "w11" : "w12";
    const auto because = [&](const auto&... parts) {
      reason += text(reason.empty() ? "" : "; ", name, " does not pay: ", parts...);
      return nullptr;
    };
    if (has_255_) return because("there are infinities or NaN");
    const WindowChoice window = choose_window(total_, window_of(code));
    const auto numbers = static_cast<double>(weight_.outputs() * weight_.inputs());
    if (static_cast<double>(window.outside) > most_escapes(code) * numbers)
      return because(hundredths(100 * static_cast<double>(window.outside) / numbers),
                     " % of the numbers lie outside its ", window_of(code), " exponents, at most ",
                     hundredths(100 * most_escapes(code)), " %");
    if (!holds(code, window.base))
      return because("exponents from ", least_, " to ", most_, " leave the range that it holds");
    const RecordOrder order = order_of(weight_);
    for (int32_t blocks = first_header_blocks(code);;) {
      bool crowded = false;
      std::vector<uint32_t> overflow = overflow_of(code, window.base, blocks, crowded);
      const int32_t better = crowded ? 0 : choose_header_blocks(blocks, overflow.back(), order.records(), code);
      if (better == 0) return because("its escapes lie in heaps");
      if (better == blocks) {
        const StripsHead head = strips_head(code, order, leaves_of(weight_), blocks, window.base, overflow.back());
        return std::make_unique<StripsPlan>(layout_, weight_, head, std::move(overflow), window.outside, reason);
      }
      blocks = better;
    }
  }
  // Are all exponents among those that an escape of the code can say?
  bool holds(WeightCode code, int32_t base) const noexcept {
    if (least_ > most_) return true;  // nothing but zeros
    if (code == WeightCode::kW11)
      return least_ >= 1 && least_ - base + kShortExponentBias >= 1 && most_ - base + kShortExponentBias <= 63;
    const int shift = kDecodedExponent - base;
    return least_ + shift >= 1 && most_ + shift <= 254;
  }
  // Index of each strip's first overflow entry, and the end. crowded: a record has more escapes than a header counts,
  // or the list more entries than one reaches.
  std::vector<uint32_t> overflow_of(WeightCode code, int32_t base, int32_t header_blocks, bool& crowded) const {
    std::vector<uint32_t> out{0};
    const uint32_t in_header = header_escapes(code, header_blocks);
    uint64_t at = 0;
    for (const StripCounts& s : strips_) {
      size_t i = 0;
      for (const uint8_t kinds : s.kinds) {
        uint32_t escapes = 0;
        for (const size_t end = i + kinds; i < end; ++i)
          if (s.exponents[i] < base || s.exponents[i] >= base + window_of(code)) escapes += s.counts[i];
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
  const WeightCode densest_;
  std::vector<StripCounts> strips_;
  std::array<uint64_t, 256> total_{};
  int32_t least_ = 255, most_ = 0;
  bool has_255_ = false;
};

class StripsLayout final : public Layout {
 public:
  StripsLayout(std::string_view id, WeightCode densest, jit::Jit* jit) : id_(id), densest_(densest), jit_(jit) {}
  std::string_view id() const noexcept override { return id_; }
  std::string_view device_kind() const noexcept override { return "cuda"; }
  Verdict supports(const WeightInfo& weight) const noexcept override { return fits_records(weight); }
  int64_t bytes(const WeightInfo& weight) const noexcept override {
    return fits_records(weight) ? dense_head(weight).bytes : 0;
  }
  int64_t expected_bytes(const WeightInfo& weight) const noexcept override {
    if (densest_ == WeightCode::kDense || !fits_records(weight)) return bytes(weight);
    // Trained weights: few records have more escapes than fit into a w12 header, many more than into one of w11.
    const RecordOrder order = order_of(weight);
    const int64_t listed = densest_ == WeightCode::kW11 ? order.records() * 2 : order.records() / 64;
    return strips_head(densest_, order, leaves_of(weight), first_header_blocks(densest_), 112, listed).bytes;
  }
  int64_t row_granule() const noexcept override { return kStripRows; }
  Result<std::unique_ptr<LayoutSurvey>> survey(const WeightInfo& weight) const override {
    if (densest_ == WeightCode::kDense) return std::unique_ptr<LayoutSurvey>();
    if (Verdict v = supports(weight); !v) return failure(Code::unsupported, id_, ": ", weight.name, ": ", v.reason);
    return std::unique_ptr<LayoutSurvey>(std::make_unique<StripsSurvey>(id_, weight, densest_));
  }
  Result<std::unique_ptr<DeviceEncoder>> device_encoder(Device& device) const override {
    if (jit_ == nullptr) return std::unique_ptr<DeviceEncoder>();
    return make_strips_encoder(*jit_, device, densest_);
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
  Verdict check(const WeightInfo& weight, std::span<const std::byte> in) const noexcept override {
    return check_strips(weight, densest_, in);
  }
  std::unique_ptr<PieceCheck> piece_check(const WeightInfo& weight, int64_t bytes) const override {
    return std::make_unique<StripsCheck>(weight, densest_, bytes);
  }

 private:
  const std::string_view id_;
  const WeightCode densest_;
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
  if (head.code < 0 || head.code > static_cast<int32_t>(WeightCode::kW11))
    return invalid(weight.name, " lies in a code ", head.code, " that is none");
  const auto code = static_cast<WeightCode>(head.code);
  const bool coded = code != WeightCode::kDense;
  if (head.strips_per_block < 1 || head.rows % (int64_t{kStripRows} * head.strips_per_block) != 0 || head.leaves < 1 ||
      head.columns % (int64_t{kChunkColumns} * head.leaves) != 0 || head.overflow_entries < 0 ||
      head.overflow_entries >= int64_t{1} << 24 ||
      (coded &&
       (head.header_blocks < 1 || head.header_blocks > 4 || head.base < 1 || head.base + window_of(code) > 255)))
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
  return std::make_unique<StripsLayout>(kDenseStrips, WeightCode::kDense, jit);
}
std::unique_ptr<Layout> make_w11_strips(jit::Jit* jit) {
  return std::make_unique<StripsLayout>(kW11Strips, WeightCode::kW11, jit);
}
std::unique_ptr<Layout> make_w12_strips(jit::Jit* jit) {
  return std::make_unique<StripsLayout>(kW12Strips, WeightCode::kW12, jit);
}

}  // namespace tare::linear_cuda
