#include "core/runtime/staged_inputs.hpp"

#include <algorithm>

namespace tare {
namespace {

constexpr int64_t kChunk = PinnedSender::kChunkBytes;
// The ring holds the longest input, and this much where all inputs are shorter.
constexpr int64_t kLeastRing = int64_t{256} << 20;

int64_t row_bytes_of(const WeightInfo& info) noexcept { return info.inputs() * size_of(info.dtype); }
int64_t plain_bytes_of(const WeightInfo& info) noexcept { return info.outputs() * row_bytes_of(info); }
// Stored in an order that kernels follow, so that its layout has to look at the bytes first. Plain rows of the right
// length are numbers, whatever they are.
bool is_checked(const StagedInputs::Weight& w) {
  return w.stored && !(w.resident->id() == kPlainRows && w.stored->bytes == plain_bytes_of(*w.info));
}

}  // namespace

bool StagedInputs::takes(const WeightInfo& info) noexcept {
  return row_bytes_of(info) > 0 && row_bytes_of(info) <= kChunk && info.outputs() > 0;
}

Result<std::unique_ptr<StagedInputs>> StagedInputs::create(Device& device, std::vector<Weight> weights,
                                                           const PlainWeights& source, std::string_view label,
                                                           const std::function<void(int64_t)>& advance) {
  auto out = std::unique_ptr<StagedInputs>(new StagedInputs);
  out->device_ = &device, out->source_ = &source, out->label_ = label;
  auto* decoding = static_cast<TileDecoding*>(device.query(TileDecoding::kInterface));
  for (Weight& w : weights) {
    Input input;
    if (decoding != nullptr && !w.stored) input.coded = source.coded(*w.decl, *w.info);
    input.weight = std::move(w);
    out->inputs_.push_back(std::move(input));
  }
  if (decoding != nullptr) {
    TARE_ASSIGN_OR_RETURN(out->decoder_, decoding->tile_decoder());
  }
  Status started = out->start(label, advance);
  if (started.code() == Code::exhausted && out->decoder_ != nullptr) {  // without room to decode in, the host decodes
    for (Input& input : out->inputs_) input.coded.reset();
    out->plain_.reset(), out->decoder_.reset();
    started = out->start(label, advance);
  }
  TARE_RETURN_IF_ERROR(std::move(started));
  return out;
}

Status StagedInputs::start(std::string_view label, const std::function<void(int64_t)>& advance) {
  int64_t decoded = 0, longest = 0, all = 0;
  WeightFeed::Ring ring{.on_device = false};
  for (const Input& input : inputs_) {
    const int64_t plain = plain_bytes_of(*input.weight.info);
    if (input.coded != nullptr && input.weight.resident == nullptr) decoded = std::max(decoded, plain);
    const bool checked = is_checked(input.weight);
    if (!checked && input.coded == nullptr && input.weight.resident != nullptr) continue;  // needs no ring
    (checked ? ring.on_host : ring.on_device) = true;
    const int64_t bytes = checked ? input.weight.stored->bytes : input.coded != nullptr ? input.coded->bytes() : plain;
    longest = std::max(longest, bytes), all += bytes;
  }
  if (decoded > 0) {
    TARE_ASSIGN_OR_RETURN(plain_, device_->allocate(static_cast<size_t>(decoded), Purpose::staging, label));
  }
  ring.bytes = std::max(longest, std::min(all, kLeastRing));
  TARE_ASSIGN_OR_RETURN(feed_, WeightFeed::create(
                                   *device_, std::ssize(inputs_), ring, label,
                                   [this](int64_t i) { return open(inputs_[static_cast<size_t>(i)]); }, advance));
  return {};
}

Result<FeedInput> StagedInputs::open(Input& input) const {
  const Weight& w = input.weight;
  if (w.resident != nullptr) {
    const int64_t bytes = w.stored ? w.stored->bytes : plain_bytes_of(*w.info);
    TARE_ASSIGN_OR_RETURN(input.buffer, device_->allocate(static_cast<size_t>(bytes), Purpose::weights, label_));
  }
  if (input.coded != nullptr) return tiles(*input.coded);
  FeedInput out = w.stored ? stored(w) : rows(w);
  if (input.buffer != nullptr) out.to = static_cast<std::byte*>(input.buffer->data());
  return out;
}

FeedInput StagedInputs::rows(const Weight& weight) const {
  const WeightInfo& info = *weight.info;
  const int64_t row_bytes = row_bytes_of(info), most = kChunk / row_bytes;
  const int64_t whole = source_->row_granule(*weight.decl, info);
  const int64_t step = most >= whole ? most / whole * whole : most;
  FeedInput out;
  for (int64_t row = 0; row < info.outputs(); row += step) out.cuts.push_back(row * row_bytes);
  out.cuts.push_back(info.outputs() * row_bytes);
  out.plain_bytes = out.cuts.back();
  out.fill = [source = source_, decl = weight.decl, info = weight.info, step](size_t chunk, std::byte* to) {
    const int64_t row = static_cast<int64_t>(chunk) * step;
    return source->read(*decl, *info, row, std::min(info->outputs(), row + step), to);
  };
  return out;
}

FeedInput StagedInputs::stored(const Weight& weight) const {
  const LaidOutWeight& from = *weight.stored;
  FeedInput out;
  for (int64_t at = 0; at < from.bytes; at += kChunk) out.cuts.push_back(at);
  out.cuts.push_back(from.bytes);
  out.plain_bytes = plain_bytes_of(*weight.info);
  out.fill = [&from](size_t chunk, std::byte* to) {
    const int64_t at = static_cast<int64_t>(chunk) * kChunk;
    return from.read(at, {to, static_cast<size_t>(std::min(kChunk, from.bytes - at))});
  };
  if (is_checked(weight))
    out.check = [&weight](std::span<const std::byte> bytes) {
      return check_laid_out(*weight.info, *weight.resident, *weight.stored, bytes.data());
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

Result<StagedInputs::Arrived> StagedInputs::next(Stream& stream) {
  TARE_ASSIGN_OR_RETURN(const std::byte* const arrived, feed_->next());
  Input& input = inputs_[at_];
  Arrived out;
  out.buffer = std::move(input.buffer);
  if (CodedTiles* const coded = input.coded.get()) {
    void* const to = out.buffer != nullptr ? out.buffer->data() : plain_->data();
    TARE_RETURN_IF_ERROR(decoder_->decode(stream, coded->matrix(), coded->begins(), arrived, to).in(coded->name()));
    decoded_bytes_ += coded->matrix().plain_bytes();
    if (out.buffer == nullptr) out.rows = to;
  } else if (out.buffer == nullptr) {
    out.rows = arrived;
  }
  return out;
}

Status StagedInputs::done(Stream& stream) {
  Input& input = inputs_[at_];
  if (input.coded != nullptr) TARE_RETURN_IF_ERROR(decoder_->check(stream).in(input.coded->name()));
  feed_->release();
  input.coded.reset();
  ++at_;
  return {};
}

}  // namespace tare
