#include "plugins/linear/coded_layout.hpp"

#include <algorithm>
#include <cmath>

#include "plugins/linear/coded_check.hpp"
#include "plugins/linear/coded_pack.hpp"
#include "plugins/linear/cpu_layouts.hpp"

namespace tare::linear {
namespace {

const Layout& dense_tiles() {
  static const std::unique_ptr<Layout> layout = make_cpu_tiles_layout();
  return *layout;
}
// The same matrix with other rows.
WeightInfo with_rows(const WeightInfo& weight, int64_t rows) {
  return {weight.name, weight.dtype, {rows, weight.inputs()}, 1};
}

Status check_rows(std::string_view layout, const WeightInfo& weight, int64_t begin, int64_t end, bool granules) {
  if (begin < 0 || begin > end || end > weight.outputs())
    return failure(Code::internal, layout, ": rows ", begin, " to ", end, " of ", weight.name, " which has ",
                   weight.outputs());
  if (granules && (begin % kStripOutputs != 0 || (end % kStripOutputs != 0 && end != weight.outputs())))
    return failure(Code::internal, layout, ": rows ", begin, " to ", end, " of ", weight.name,
                   ", expected multiples of ", kStripOutputs);
  return {};
}

// Percent with two digits behind the point.
std::string percent(double share) {
  const auto hundredths = static_cast<int64_t>(std::lround(share * 10000));
  return text(hundredths / 100, ".", hundredths / 10 % 10, hundredths % 10, " %");
}

class CodedPlan final : public LayoutPlan {
 public:
  CodedPlan(std::string_view layout, WeightInfo weight, CodeTable table, std::vector<int64_t> offsets, int64_t escapes,
            std::string reason)
      : layout_(layout),
        weight_(std::move(weight)),
        table_(table),
        offsets_(std::move(offsets)),
        reason_(std::move(reason)) {
    header_ = coded_header(weight_, table.code);
    header_.escapes = escapes;
    std::copy(std::begin(table.table), std::end(table.table), header_.table);
    if (table.code == Coding::plain) return;
    header_.index_at = header_.bytes;
    header_.escapes_at = header_.index_at + static_cast<int64_t>(offsets_.size()) * 8;
    header_.bytes = round_up(header_.escapes_at + offsets_.back() + kCodedTailBytes, 64);
  }
  int64_t bytes() const noexcept override { return header_.bytes; }
  bool pays() const noexcept override { return table_.code != Coding::plain; }
  std::string note() const override {
    constexpr std::string_view names[] = {"dense", "w12", "w11"};
    const auto numbers = static_cast<double>(std::max<int64_t>(1, header_.outputs * header_.inputs));
    const auto hundredths = std::lround(100 * 8 * static_cast<double>(header_.bytes) / numbers);
    return text(names[static_cast<size_t>(table_.code)], ", ", hundredths / 100, ".", hundredths / 10 % 10,
                hundredths % 10, " bits a weight",
                table_.code == Coding::plain ? std::string()
                                             : ", escapes " + percent(static_cast<double>(header_.escapes) / numbers),
                reason_.empty() ? "" : ": ", reason_);
  }
  Status encode(int64_t row_begin, int64_t row_end, const void* plain, void* out) const override {
    TARE_RETURN_IF_ERROR(check_rows(layout_, weight_, row_begin, row_end, true));
    auto* const base = static_cast<std::byte*>(out);
    if (row_begin == 0) write_ends(base);
    if (!pays()) return dense_tiles().encode(weight_, row_begin, row_end, plain, base + kCodedHeaderBytes);
    const int64_t chunks = num_chunks(header_.inputs), row_bytes = header_.inputs * 2;
    const int64_t step = chunk_bytes(table_.code);
    std::vector<uint16_t> dense(static_cast<size_t>(strip_bytes_bf16(header_.inputs) / 2));
    std::vector<std::byte> escapes;
    const ChunkEncoder encoder(table_);
    for (int64_t row = row_begin; row < row_end; row += kStripOutputs) {
      const int64_t rows = std::min(kStripOutputs, row_end - row), strip = row / kStripOutputs;
      TARE_RETURN_IF_ERROR(dense_tiles().encode(with_rows(weight_, rows), 0, rows,
                                                static_cast<const std::byte*>(plain) + (row - row_begin) * row_bytes,
                                                dense.data()));
      pad_like_numbers(dense, rows);
      escapes.clear();
      std::byte* const tiles = base + kCodedHeaderBytes + strip * chunks * step;
      for (int64_t c = 0; c < chunks; ++c)
        encoder.encode(dense.data() + c * kChunkBytes / 2, c, tiles + c * step, escapes);
      if (table_.code == Coding::split) {
        const auto* const end = reinterpret_cast<const std::byte*>(&kNoEscape);
        escapes.insert(escapes.end(), end, end + 4);
      }
      const int64_t offset = offsets_[static_cast<size_t>(strip)];
      if (static_cast<int64_t>(escapes.size()) != offsets_[static_cast<size_t>(strip) + 1] - offset)
        return failure(Code::internal, layout_, ": rows ", row, " of ", weight_.name,
                       " are not those that were surveyed: ", escapes.size(), " bytes of escapes, expected ",
                       offsets_[static_cast<size_t>(strip) + 1] - offset);
      if (!escapes.empty()) std::memcpy(base + header_.escapes_at + offset, escapes.data(), escapes.size());
    }
    return {};
  }

 private:
  void write_ends(std::byte* base) const {
    std::memcpy(base, &header_, sizeof header_);
    if (!pays()) return;
    std::memcpy(base + header_.index_at, offsets_.data(), offsets_.size() * 8);
    const int64_t end = header_.escapes_at + offsets_.back();
    std::memset(base + end, 0, static_cast<size_t>(header_.bytes - end));
  }
  // Padding is multiplied by zeros of x or thrown away, so that any finite number will do: one that is no escape.
  // Zero itself mostly is one.
  void pad_like_numbers(std::vector<uint16_t>& dense, int64_t rows) const {
    if (rows == kStripOutputs && header_.inputs % kChunkInputs == 0) return;
    const uint16_t filler = static_cast<uint16_t>(filler_exponent() << 7);
    for (int64_t c = 0; c < num_chunks(header_.inputs); ++c)
      for (int64_t i = 0; i < kChunkBytes / 2; ++i) {
        const int64_t output = i / 512 * kTileOutputs + i % 32 / 2, input = c * kChunkInputs + i % 512 / 32 * 2 + i % 2;
        if (output >= rows || input >= header_.inputs) dense[static_cast<size_t>(c * kChunkBytes / 2 + i)] = filler;
      }
  }
  int filler_exponent() const {
    for (int e = 0; e < 255; ++e)
      if (table_.holds[e]) return e;
    return 0;
  }

  const std::string layout_;
  const WeightInfo weight_;
  const CodeTable table_;
  const std::vector<int64_t> offsets_;  // by strip, and the end
  const std::string reason_;
  CodedHeader header_;
};

class CodedSurvey final : public LayoutSurvey {
 public:
  CodedSurvey(std::string_view layout, WeightInfo weight, Coding densest)
      : layout_(layout),
        weight_(std::move(weight)),
        densest_(densest),
        counts_(static_cast<size_t>(num_strips(weight_.outputs())) * 256) {}
  Status look(int64_t row_begin, int64_t row_end, const void* plain) noexcept override {
    TARE_RETURN_IF_ERROR(check_rows(layout_, weight_, row_begin, row_end, true));
    const int64_t inputs = weight_.inputs();
    for (int64_t row = row_begin; row < row_end; row += kStripOutputs) {
      const int64_t rows = std::min(kStripOutputs, row_end - row);
      auto& counts = *reinterpret_cast<ExponentCounts*>(counts_.data() + row / kStripOutputs * 256);
      count_exponents(static_cast<const uint16_t*>(plain) + (row - row_begin) * inputs, rows * inputs, counts);
    }
    return {};
  }
  Result<std::unique_ptr<LayoutPlan>> finish() override {
    uint64_t total[256] = {};
    for (size_t i = 0; i < counts_.size(); ++i) total[i % 256] += counts_[i];
    std::string reason;
    if (densest_ == Coding::triples)
      if (auto plan = planned(best_triples(total), total, kMostTripleEscapes, reason)) return plan;
    if (auto plan = planned(best_split(total), total, kMostSplitEscapes, reason)) return plan;
    return std::unique_ptr<LayoutPlan>(
        std::make_unique<CodedPlan>(layout_, weight_, CodeTable{}, std::vector<int64_t>{}, 0, std::move(reason)));
  }

 private:
  // Null, with the reason added, when the code does not pay.
  std::unique_ptr<LayoutPlan> planned(const CodeTable& table, const uint64_t (&total)[256], double most,
                                      std::string& reason) const {
    int64_t escapes = 0;
    for (int e = 0; e < 256; ++e)
      if (!table.holds[e]) escapes += static_cast<int64_t>(total[e]);
    const bool split = table.code == Coding::split;
    const auto numbers = static_cast<double>(weight_.outputs() * weight_.inputs());
    const auto because = [&](const auto&... parts) {
      reason += text(reason.empty() ? "" : "; ", split ? "w12" : "w11", " does not pay: ", parts...);
      return nullptr;
    };
    const double share = static_cast<double>(escapes) / std::max(numbers, 1.0);
    if (share > most)
      return because(percent(share), " of the numbers lie outside its ", split ? 16 : 7, " exponents, at most ",
                     percent(most));
    std::vector<int64_t> offsets{0};
    for (size_t strip = 0; strip * 256 < counts_.size(); ++strip) {
      int64_t here = 0;
      for (size_t e = 0; e < 256; ++e)
        if (!table.holds[e]) here += counts_[strip * 256 + e];
      offsets.push_back(offsets.back() + (split ? 4 * (here + 1) : here));
    }
    auto plan = std::make_unique<CodedPlan>(layout_, weight_, table, std::move(offsets), escapes, reason);
    const int64_t dense = dense_tiles().bytes(weight_) + kCodedHeaderBytes;
    if (plan->bytes() >= dense) return because(plan->bytes(), " bytes, dense takes ", dense);
    return plan;
  }

  const std::string layout_;
  const WeightInfo weight_;
  const Coding densest_;
  std::vector<uint32_t> counts_;  // [strip][256]
};

class CodedLayout final : public Layout {
 public:
  CodedLayout(std::string_view id, Coding densest, double expected_bits)
      : id_(id), densest_(densest), expected_bits_(expected_bits) {}
  std::string_view id() const noexcept override { return id_; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  Verdict supports(const WeightInfo& weight) const noexcept override {
    if (weight.dtype != DType::bf16) return Verdict::no("holds bf16, not ", name(weight.dtype));
    if (weight.inputs() > kMostCodedInputs)
      return Verdict::no("holds rows of up to ", kMostCodedInputs, " numbers, not ", weight.inputs());
    return Verdict::yes();
  }
  int64_t bytes(const WeightInfo& weight) const noexcept override {
    return kCodedHeaderBytes + dense_tiles().bytes(weight);
  }
  int64_t expected_bytes(const WeightInfo& weight) const noexcept override {
    const int64_t strips = num_strips(weight.outputs());
    const auto padded = static_cast<double>(strips * kStripOutputs * num_chunks(weight.inputs()) * kChunkInputs);
    return std::min(bytes(weight), kCodedHeaderBytes + kCodedTailBytes + 64 + 12 * (strips + 1) +
                                       static_cast<int64_t>(padded * expected_bits_ / 8));
  }
  int64_t row_granule() const noexcept override { return kStripOutputs; }
  Result<std::unique_ptr<LayoutSurvey>> survey(const WeightInfo& weight) const override {
    if (Verdict v = supports(weight); !v) return failure(Code::unsupported, id_, ": ", weight.name, ": ", v.reason);
    return std::unique_ptr<LayoutSurvey>(std::make_unique<CodedSurvey>(id_, weight, densest_));
  }

  Status encode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* plain,
                void* out) const override {
    TARE_RETURN_IF_ERROR(check_rows(id_, weight, row_begin, row_end, true));
    const CodedHeader header = coded_header(weight, Coding::plain);
    auto* const base = static_cast<std::byte*>(out);
    if (row_begin == 0) std::memcpy(base, &header, sizeof header);
    return dense_tiles().encode(weight, row_begin, row_end, plain, base + kCodedHeaderBytes);
  }

  Status decode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* in,
                void* plain) const override {
    TARE_RETURN_IF_ERROR(check_rows(id_, weight, row_begin, row_end, false));
    if (row_begin == row_end || weight.inputs() == 0) return {};
    const CodedMatrix matrix(in);
    const CodedHeader expected;
    if (std::memcmp(matrix.header->magic, expected.magic, sizeof expected.magic) != 0 ||
        matrix.header->version != expected.version || matrix.header->code > Coding::triples)
      return failure(Code::invalid, id_, ": ", weight.name, " has no header of version 1");
    if (matrix.header->outputs != weight.outputs() || matrix.header->inputs != weight.inputs())
      return failure(Code::invalid, id_, ": the header is of [", matrix.header->outputs, ", ", matrix.header->inputs,
                     "], expected [", weight.outputs(), ", ", weight.inputs(), "] of ", weight.name);
    if (matrix.code() == Coding::plain)
      return dense_tiles().decode(weight, row_begin, row_end, matrix.data + kCodedHeaderBytes, plain);
    const int64_t row_bytes = weight.inputs() * 2;
    std::vector<uint16_t> dense;
    for (int64_t row = row_begin; row < row_end;) {
      const int64_t first = row % kStripOutputs, rows = std::min(kStripOutputs - first, row_end - row);
      auto* const out = static_cast<std::byte*>(plain) + (row - row_begin) * row_bytes;
      if (rows == 1) {
        decode_row(matrix, row, reinterpret_cast<std::byte*>(out));
      } else {
        dense.resize(static_cast<size_t>(strip_bytes_bf16(weight.inputs()) / 2));
        decode_strip(matrix, row / kStripOutputs, dense.data());
        TARE_RETURN_IF_ERROR(
            dense_tiles().decode(with_rows(weight, kStripOutputs), first, first + rows, dense.data(), out));
      }
      row += rows;
    }
    return {};
  }
  Verdict check(const WeightInfo& weight, std::span<const std::byte> in) const noexcept override {
    if (Verdict v = supports(weight); !v) return v;
    return check_coded(weight, densest_, dense_tiles(), in);
  }

 private:
  static void decode_strip(const CodedMatrix& m, int64_t strip, uint16_t* dense) {
    EscapeCursor cursor{m.escapes(strip)};
    const int64_t step = chunk_bytes(m.code());
    for (int64_t c = 0; c < m.chunks(); ++c) {
      const std::byte* const from = m.strip(strip) + c * step;
      if (m.code() == Coding::split)
        decode_split_chunk(*m.header, from, c, cursor, dense + c * kChunkBytes / 2);
      else
        decode_triples_chunk(*m.header, from, cursor, dense + c * kChunkBytes / 2);
    }
  }

  // One row alone, for gathers: reads its sixteenth of a record only.
  static void decode_row(const CodedMatrix& m, int64_t row, std::byte* out) {
    const int64_t inputs = m.header->inputs, strip = row / kStripOutputs;
    const int64_t tile = row % kStripOutputs / kTileOutputs, output = row % kTileOutputs;
    const auto put = [&](int64_t k, uint16_t value) {
      if (k < inputs) std::memcpy(out + 2 * k, &value, 2);
    };
    const bool split = m.code() == Coding::split;
    EscapeCursor cursor{m.escapes(strip)};
    for (int64_t c = 0; c < m.chunks(); ++c)
      for (int64_t r = 0; r < kRecordsPerTile; ++r) {
        const std::byte* const chunk = m.strip(strip) + c * chunk_bytes(m.code());
        const auto* const low =
            reinterpret_cast<const uint8_t*>(chunk) + (split ? split_low_at(r, tile) : triples_low_at(r, tile));
        const auto* const packed =
            reinterpret_cast<const uint8_t*>(chunk) + (split ? split_codes_at(r, tile) : triples_codes_at(r, tile));
        const std::byte* first_escape = nullptr;
        if (!split)
          for (int64_t t = 0; t < kTiles; ++t) {
            if (t == tile) first_escape = cursor.at;
            cursor.at += count_triple_escapes(chunk + triples_codes_at(r, t));
          }
        for (int64_t j = 0; j < 4; ++j) {  // two pairs of K
          const int64_t place = record_place(j / 2 * 32 + output * 2 + j % 2), k = c * kChunkInputs + r * 4 + j;
          const uint8_t byte = low[place];
          if (split) {
            const uint8_t nibble = packed[place % 32] >> (place < 32 ? 0 : 4) & 15;
            put(k, static_cast<uint16_t>(m.header->table[nibble] << 8 | byte));
          } else {
            const int code = triple_at(packed, place);
            const auto exponent =
                code != 0 ? m.header->table[code] : static_cast<uint8_t>(first_escape[escapes_before(packed, place)]);
            put(k, static_cast<uint16_t>((exponent << 7) | byte >> 1 | byte << 15));
          }
        }
      }
    if (!split) return;
    for (uint32_t word; (word = cursor.word()) != kNoEscape; cursor.at += 4) {
      const int64_t number = record_number(escape_place(word));
      if (escape_record(word) % kTiles != tile || number % 32 / 2 != output) continue;
      const int64_t k = escape_step(word) * 4 + number / 32 * 2 + number % 2;
      if (k >= inputs) continue;
      out[2 * k + 1] ^= static_cast<std::byte>(word & 255);
    }
  }
  static int triple_at(const uint8_t* packed, int64_t place) noexcept {
    const uint8_t* const group = packed + place / 8 * 3;
    return static_cast<int>((group[0] | group[1] << 8 | group[2] << 16) >> place % 8 * 3 & 7);
  }
  static int escapes_before(const uint8_t* packed, int64_t place) noexcept {
    int count = 0;
    for (int64_t p = 0; p < place; ++p) count += triple_at(packed, p) == 0;
    return count;
  }

  const std::string_view id_;
  const Coding densest_;
  const double expected_bits_;
};

}  // namespace

std::unique_ptr<Layout> make_w12_layout() { return std::make_unique<CodedLayout>(kW12, Coding::split, 12.05); }
std::unique_ptr<Layout> make_w11_layout() { return std::make_unique<CodedLayout>(kW11, Coding::triples, 11.40); }

}  // namespace tare::linear
