#include "row12.hpp"

#include <algorithm>
#include <array>
#include <numeric>

namespace org_example {
namespace {
using tare::Status;
using tare::Verdict;
using tare::WeightInfo;

using Counts = std::array<uint32_t, 256>;  // of a row's high bytes

int64_t rows_at(const WeightInfo& w) { return static_cast<int64_t>(sizeof(Row12Header)) + (w.outputs() + 1) * 8; }

// Knows the table and where every row begins; encodes rows in any order.
class Row12Plan final : public tare::LayoutPlan {
 public:
  Row12Plan(WeightInfo weight, Row12Header header, std::vector<uint64_t> offsets, std::string reason)
      : weight_(std::move(weight)), header_(header), offsets_(std::move(offsets)), reason_(std::move(reason)) {
    code_.fill(15);
    for (uint8_t c = 15; c-- > 0;) code_[header_.table[c]] = c;
  }
  int64_t bytes() const noexcept override { return static_cast<int64_t>(offsets_.back()); }
  bool pays() const noexcept override { return header_.plain == 0; }
  std::string note() const override {
    return tare::text(pays() ? "row12, " : "dense, ", bytes(), " bytes", reason_.empty() ? "" : ": ", reason_);
  }
  Status encode(int64_t begin, int64_t end, const void* plain, void* out) const override {
    auto* base = static_cast<uint8_t*>(out);
    if (begin == 0) {  // whoever lays out the first row writes what stands before it
      std::memcpy(base, &header_, sizeof header_);
      std::memcpy(base + sizeof header_, offsets_.data(), offsets_.size() * 8);
    }
    const int64_t inputs = weight_.inputs();
    for (int64_t r = begin; r < end; ++r) {
      const uint16_t* from = static_cast<const uint16_t*>(plain) + (r - begin) * inputs;
      uint8_t* at = base + offsets_[static_cast<size_t>(r)];
      if (!pays()) {
        std::memcpy(at, from, static_cast<size_t>(inputs) * 2);
        continue;
      }
      uint8_t* nibbles = at + inputs;
      uint8_t* escapes = nibbles + (inputs + 1) / 2;
      std::fill(nibbles, escapes, uint8_t{0});
      for (int64_t k = 0; k < inputs; ++k) {
        const auto high = static_cast<uint8_t>(from[k] >> 8);
        at[k] = static_cast<uint8_t>(from[k]);
        nibbles[k / 2] = static_cast<uint8_t>(nibbles[k / 2] | code_[high] << (k % 2 * 4));
        if (code_[high] == 15) *escapes++ = high;
      }
    }
    return {};
  }

 private:
  const WeightInfo weight_;
  const Row12Header header_;
  const std::vector<uint64_t> offsets_;
  const std::string reason_;
  std::array<uint8_t, 256> code_;
};

// The first pass: which high bytes there are. Ranges of rows come from several threads, each writes its own rows.
class Row12Survey final : public tare::LayoutSurvey {
 public:
  explicit Row12Survey(WeightInfo weight)
      : weight_(std::move(weight)), counts_(static_cast<size_t>(weight_.outputs())) {}
  Status look(int64_t begin, int64_t end, const void* plain) noexcept override {
    const int64_t inputs = weight_.inputs();
    for (int64_t r = begin; r < end; ++r) {
      Counts& counts = counts_[static_cast<size_t>(r)];
      counts.fill(0);
      const uint16_t* from = static_cast<const uint16_t*>(plain) + (r - begin) * inputs;
      for (int64_t k = 0; k < inputs; ++k) ++counts[from[k] >> 8];
    }
    return {};
  }
  tare::Result<std::unique_ptr<tare::LayoutPlan>> finish() override {
    std::array<uint64_t, 256> total{};
    for (const Counts& counts : counts_)
      for (size_t h = 0; h < 256; ++h) total[h] += counts[h];
    std::array<uint8_t, 256> byte;
    std::iota(byte.begin(), byte.end(), uint8_t{0});
    std::ranges::stable_sort(byte, [&](uint8_t a, uint8_t b) { return total[a] > total[b]; });
    Row12Header header;
    std::copy_n(byte.begin(), 15, header.table);
    const int64_t inputs = weight_.inputs(), dense = rows_at(weight_) + weight_.outputs() * inputs * 2;
    std::vector<uint64_t> offsets{static_cast<uint64_t>(rows_at(weight_))};
    for (const Counts& counts : counts_) {
      uint64_t escapes = static_cast<uint64_t>(inputs);
      for (const uint8_t h : header.table) escapes -= counts[h];
      offsets.push_back(offsets.back() + static_cast<uint64_t>(inputs + (inputs + 1) / 2) + escapes);
    }
    std::string reason;
    if (static_cast<int64_t>(offsets.back()) >= dense) {
      reason = tare::text("row12 would take ", offsets.back(), " bytes, dense takes ", dense);
      header.plain = 1;
      for (size_t r = 0; r < offsets.size(); ++r)
        offsets[r] = static_cast<uint64_t>(rows_at(weight_)) + r * static_cast<uint64_t>(inputs) * 2;
    }
    return std::unique_ptr<tare::LayoutPlan>(
        std::make_unique<Row12Plan>(weight_, header, std::move(offsets), std::move(reason)));
  }

 private:
  const WeightInfo weight_;
  std::vector<Counts> counts_;
};

class Row12 final : public tare::Layout {
 public:
  std::string_view id() const noexcept override { return kRow12; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  Verdict supports(const WeightInfo& w) const noexcept override {
    if (w.dtype != tare::DType::bf16) return Verdict::no("numbers are ", name(w.dtype), ", expected bf16");
    if (w.input_dims < 1) return Verdict::no(w.name, " is no matrix");
    return Verdict::yes();
  }
  int64_t bytes(const WeightInfo& w) const noexcept override { return rows_at(w) + w.outputs() * w.inputs() * 2; }
  int64_t expected_bytes(const WeightInfo& w) const noexcept override {
    return rows_at(w) + w.outputs() * (w.inputs() + (w.inputs() + 1) / 2);
  }
  // In one pass nothing is known of the rows that follow: plain ones.
  Status encode(const WeightInfo& w, int64_t begin, int64_t end, const void* plain, void* out) const override {
    std::vector<uint64_t> offsets;
    for (int64_t r = 0; r <= w.outputs(); ++r)
      offsets.push_back(static_cast<uint64_t>(rows_at(w) + r * w.inputs() * 2));
    Row12Header header;
    header.plain = 1;
    return Row12Plan(w, header, std::move(offsets), "").encode(begin, end, plain, out);
  }
  Status decode(const WeightInfo& w, int64_t begin, int64_t end, const void* in, void* plain) const override {
    const Row12Matrix matrix(in, w.inputs());
    for (int64_t r = begin; r < end; ++r)
      matrix.decode_row(r, static_cast<uint16_t*>(plain) + (r - begin) * w.inputs());
    return {};
  }
  // Bytes from a file: where each row begins and how many escapes it has is all that a kernel trusts.
  Verdict check(const WeightInfo& w, std::span<const std::byte> in) const noexcept override {
    const auto size = static_cast<uint64_t>(in.size()), inputs = static_cast<uint64_t>(w.inputs());
    if (size < static_cast<uint64_t>(rows_at(w))) return Verdict::no("it ends before its first row");
    Row12Header header;
    std::memcpy(&header, in.data(), sizeof header);
    if (header.plain > 1) return Verdict::no("its header says neither coded nor plain");
    const auto offset = [&](int64_t row) {
      uint64_t at;
      std::memcpy(&at, in.data() + sizeof header + row * 8, 8);
      return at;
    };
    uint64_t at = static_cast<uint64_t>(rows_at(w));
    for (int64_t r = 0; r < w.outputs(); ++r) {
      if (offset(r) != at) return Verdict::no("row ", r, " begins at ", offset(r), ", expected ", at);
      const uint64_t row_bytes = header.plain != 0 ? inputs * 2 : inputs + (inputs + 1) / 2;
      if (row_bytes > size - at) return Verdict::no("it ends within row ", r);
      const auto* nibbles = reinterpret_cast<const uint8_t*>(in.data()) + at + inputs;
      at += row_bytes;
      for (uint64_t k = 0; header.plain == 0 && k < inputs; ++k)
        at += (k % 2 == 0 ? nibbles[k / 2] & 15 : nibbles[k / 2] >> 4) == 15;
      if (at > size) return Verdict::no("the escapes of row ", r, " lie behind its end");
    }
    if (offset(w.outputs()) != at || at != size) return Verdict::no("it has ", size, " bytes, its rows end at ", at);
    return Verdict::yes();
  }
  tare::Result<std::unique_ptr<tare::LayoutSurvey>> survey(const WeightInfo& w) const override {
    return std::unique_ptr<tare::LayoutSurvey>(std::make_unique<Row12Survey>(w));
  }
};

}  // namespace

std::unique_ptr<tare::Layout> make_row12() { return std::make_unique<Row12>(); }

}  // namespace org_example
