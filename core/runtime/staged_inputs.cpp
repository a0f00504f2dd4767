#include "core/runtime/staged_inputs.hpp"

#include <algorithm>

namespace tare {
namespace {

constexpr auto kChunk = static_cast<int64_t>(Uploader::kChunkBytes);
// The ring holds the longest input, and this much where all inputs are shorter.
constexpr int64_t kLeastRing = int64_t{256} << 20;

int64_t row_bytes_of(const WeightInfo& info) noexcept { return info.inputs() * size_of(info.dtype); }
int64_t plain_bytes_of(const WeightInfo& info) noexcept { return info.outputs() * row_bytes_of(info); }

}  // namespace

bool StagedInputs::takes(const WeightInfo& info) noexcept {
  return row_bytes_of(info) > 0 && row_bytes_of(info) <= kChunk && info.outputs() > 0;
}

Result<std::unique_ptr<StagedInputs>> StagedInputs::create(Device& device, std::vector<Weight> weights,
                                                           const PlainWeights& source, std::string_view label,
                                                           const std::function<void(int64_t)>& advance) {
  auto out = std::unique_ptr<StagedInputs>(new StagedInputs);
  out->weights_ = std::move(weights), out->source_ = &source;
  out->coded_.resize(out->weights_.size());
  if (auto* decoding = static_cast<TileDecoding*>(device.query(TileDecoding::kInterface))) {
    for (size_t i = 0; i < out->weights_.size(); ++i)
      out->coded_[i] = source.coded(*out->weights_[i].decl, *out->weights_[i].info);
    TARE_ASSIGN_OR_RETURN(out->decoder_, decoding->tile_decoder());
  }
  Status started = out->start(device, label, advance);
  if (started.code() == Code::exhausted && out->decoder_ != nullptr) {  // without room to decode in, the host decodes
    for (auto& coded : out->coded_) coded.reset();
    out->plain_.reset(), out->decoder_.reset();
    started = out->start(device, label, advance);
  }
  TARE_RETURN_IF_ERROR(std::move(started));
  return out;
}

Status StagedInputs::start(Device& device, std::string_view label, const std::function<void(int64_t)>& advance) {
  int64_t decoded = 0, longest = 0, all = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const int64_t plain = plain_bytes_of(*weights_[i].info);
    const int64_t bytes = coded_[i] != nullptr ? coded_[i]->bytes() : plain;
    if (coded_[i] != nullptr) decoded = std::max(decoded, plain);
    longest = std::max(longest, bytes), all += bytes;
  }
  if (decoded > 0) {
    TARE_ASSIGN_OR_RETURN(plain_, device.allocate(static_cast<size_t>(decoded), Purpose::staging, label));
  }
  const int64_t ring = std::max(longest, std::min(all, kLeastRing));
  TARE_ASSIGN_OR_RETURN(feed_, WeightFeed::create(
                                   device, std::ssize(weights_), ring, label,
                                   [this](int64_t i) { return open(static_cast<size_t>(i)); }, advance));
  return {};
}

Result<FeedInput> StagedInputs::open(size_t i) { return coded_[i] != nullptr ? tiles(*coded_[i]) : rows(weights_[i]); }

FeedInput StagedInputs::rows(const Weight& weight) const {
  const WeightInfo& info = *weight.info;
  const int64_t row_bytes = row_bytes_of(info), most = kChunk / row_bytes;
  const int64_t whole = source_->row_granule(*weight.decl, info);
  const int64_t step = most >= whole ? most / whole * whole : most;
  FeedInput out;
  for (int64_t row = 0; row < info.outputs(); row += step) out.cuts.push_back(row * row_bytes);
  out.cuts.push_back(info.outputs() * row_bytes);
  out.plain_bytes = out.cuts.back();
  out.fill = [source = source_, weight, step](size_t chunk, std::byte* to) {
    const int64_t row = static_cast<int64_t>(chunk) * step;
    return source->read(*weight.decl, *weight.info, row, std::min(weight.info->outputs(), row + step), to);
  };
  return out;
}

Result<FeedInput> StagedInputs::tiles(CodedTiles& coded) const {
  TARE_RETURN_IF_ERROR(coded.open());
  const auto begins = coded.begins();
  FeedInput out;
  std::vector<int64_t> firsts{0};  // tiles that chunks begin with, and the end
  for (int64_t t = 1; t < std::ssize(begins); ++t) {
    const int64_t first = begins[static_cast<size_t>(firsts.back())];
    if (t + 1 == std::ssize(begins) || begins[static_cast<size_t>(t) + 1] - first > kChunk) firsts.push_back(t);
  }
  for (const int64_t t : firsts) out.cuts.push_back(begins[static_cast<size_t>(t)]);
  out.plain_bytes = coded.matrix().plain_bytes();
  out.fill = [&coded, firsts = std::move(firsts)](size_t chunk, std::byte* to) {
    return coded.read(firsts[chunk], firsts[chunk + 1], to);
  };
  return out;
}

Result<const void*> StagedInputs::next(Stream& stream) {
  TARE_ASSIGN_OR_RETURN(const std::byte* const arrived, feed_->next());
  CodedTiles* const coded = coded_[at_].get();
  if (coded == nullptr) return static_cast<const void*>(arrived);
  TARE_RETURN_IF_ERROR(
      decoder_->decode(stream, coded->matrix(), coded->begins(), arrived, plain_->data()).in(coded->name()));
  decoded_bytes_ += coded->matrix().plain_bytes();
  return static_cast<const void*>(plain_->data());
}

Status StagedInputs::done(Stream& stream) {
  if (coded_[at_] != nullptr) TARE_RETURN_IF_ERROR(decoder_->check(stream).in(coded_[at_]->name()));
  feed_->release();
  coded_[at_].reset();
  ++at_;
  return {};
}

}  // namespace tare
