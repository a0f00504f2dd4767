#include "core/runtime/staged_inputs.hpp"

#include <algorithm>
#include <utility>

namespace tare {
namespace {

constexpr int64_t kChunk = int64_t{2} << 20;
constexpr int64_t kStoredChunk = PinnedSender::kMostBytes;  // as many pieces as are hashed at once
static_assert(kChunk <= PinnedSender::kMostBytes);
static_assert(kStoredChunk % PieceCheck::kAlignment == 0 && kStoredChunk >= kWeightHeadBytes);
// The ring holds the longest input, and this much where all inputs are shorter.
constexpr int64_t kLeastRing = int64_t{256} << 20;
constexpr size_t kMostReady = 8;  // weights that are decoded ahead

int64_t row_bytes_of(const WeightInfo& info) noexcept { return info.inputs() * size_of(info.dtype); }
int64_t plain_bytes_of(const WeightInfo& info) noexcept { return info.outputs() * row_bytes_of(info); }
// Plain rows of the right length are numbers, whatever they are. Other orders are followed by kernels, so that their
// layout has to look at the bytes first.
bool is_plain(const WeightInfo& info, const LaidOutWeight& stored, const Layout& layout) noexcept {
  return layout.id() == kPlainRows && stored.bytes == plain_bytes_of(info);
}

}  // namespace

bool StagedInputs::takes(const WeightInfo& info) noexcept {
  return row_bytes_of(info) > 0 && row_bytes_of(info) <= kChunk && info.outputs() > 0;
}
bool StagedInputs::takes(const WeightInfo& info, const LaidOutWeight& stored, const Layout& layout) {
  return stored.bytes > 0 && (is_plain(info, stored, layout) || layout.piece_check(info, stored.bytes) != nullptr);
}

Result<std::unique_ptr<StagedInputs>> StagedInputs::create(Device& device, std::vector<Weight> weights,
                                                           const PlainWeights& source, std::string_view label,
                                                           const std::function<void(int64_t)>& advance,
                                                           int64_t part_bytes) {
  auto out = std::unique_ptr<StagedInputs>(new StagedInputs);
  out->device_ = &device, out->source_ = &source, out->label_ = label;
  auto* decoding = static_cast<TileDecoding*>(device.query(TileDecoding::kInterface));
  bool is_coded = false;
  for (Weight& w : weights) {
    Input input;
    if (decoding != nullptr && !w.stored) input.coded = source.coded(*w.decl, *w.info);
    is_coded = is_coded || input.coded != nullptr;
    input.weight = std::move(w);
    out->inputs_.push_back(std::move(input));
  }
  if (is_coded) {
    TARE_ASSIGN_OR_RETURN(out->decoder_, decoding->tile_decoder());
    TARE_ASSIGN_OR_RETURN(out->stream_, device.create_stream());
  }
  Status started = out->start(label, advance, part_bytes);
  if (started.code() == Code::exhausted && is_coded) {  // without room to decode in, the host decodes
    for (Input& input : out->inputs_) input.coded.reset(), input.parts.clear();
    out->plain_.reset(), out->decoder_.reset();
    started = out->start(label, advance, part_bytes);
  }
  TARE_RETURN_IF_ERROR(std::move(started));
  if (out->decoder_ != nullptr) out->thread_ = std::thread([inputs = out.get()] { inputs->decode_ahead(); });
  return out;
}

StagedInputs::~StagedInputs() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  if (feed_ != nullptr) feed_->stop();
  if (thread_.joinable()) thread_.join();
  feed_.reset();
}

Status StagedInputs::start(std::string_view label, const std::function<void(int64_t)>& advance, int64_t part_bytes) {
  int64_t decoded = 0, longest = 0, in_rings = 0;
  WeightFeed::Sizes sizes{.chunk_bytes = kChunk};
  sent_.clear();
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Input& input = inputs_[i];
    const int64_t plain = plain_bytes_of(*input.weight.info);
    int64_t in_ring = 0;
    if (input.coded != nullptr) {
      input.parts = tile_parts(input.coded->matrix(), part_bytes);
      // Tiles are hardly longer than their numbers.
      int64_t part = 0;
      for (const TilePart& p : input.parts) part = std::max(part, 2 * p.matrix.plain_bytes());
      in_ring = std::min(input.coded->bytes(), part);
      in_rings += input.coded->bytes(), sizes.bytes += input.coded->bytes();
      if (input.weight.resident == nullptr) decoded = std::max(decoded, plain);
    } else {
      if (input.weight.resident == nullptr) in_rings += in_ring = plain;
      sizes.bytes += input.weight.stored ? input.weight.stored->bytes : plain;
      if (input.weight.stored) sizes.chunk_bytes = std::max(sizes.chunk_bytes, kStoredChunk);
    }
    longest = std::max(longest, in_ring);
    for (size_t p = 0; p < std::max<size_t>(1, input.parts.size()); ++p) sent_.push_back({i, p});
  }
  if (decoded > 0) {
    TARE_ASSIGN_OR_RETURN(plain_, device_->allocate(static_cast<size_t>(decoded), Purpose::staging, label));
    places_ = RingPlaces(decoded);
  }
  sizes.count = std::ssize(sent_);
  sizes.ring_bytes = std::max(longest, std::min(in_rings, kLeastRing));
  TARE_ASSIGN_OR_RETURN(
      feed_, WeightFeed::create(
                 *device_, sizes, label, [this](int64_t i) { return open(sent_[static_cast<size_t>(i)]); }, advance));
  return {};
}

Result<FeedInput> StagedInputs::open(const Sent& sent) {
  Input& input = inputs_[sent.input];
  const Weight& w = input.weight;
  if (w.resident != nullptr && sent.part == 0) {
    const int64_t bytes = w.stored ? w.stored->bytes : plain_bytes_of(*w.info);
    TARE_ASSIGN_OR_RETURN(input.buffer, device_->allocate(static_cast<size_t>(bytes), Purpose::weights, label_));
  }
  if (input.coded != nullptr) {
    if (sent.part == 0) TARE_RETURN_IF_ERROR(input.coded->open());
    return tiles(input, input.parts[sent.part]);
  }
  FeedInput out = w.stored ? stored(input) : rows(w);
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

FeedInput StagedInputs::stored(Input& input) const {
  const Weight& weight = input.weight;
  const LaidOutWeight& from = *weight.stored;
  FeedInput out;
  for (int64_t at = 0; at < from.bytes; at += kStoredChunk) out.cuts.push_back(at);
  out.cuts.push_back(from.bytes);
  out.plain_bytes = plain_bytes_of(*weight.info);
  out.fill = [&from](size_t chunk, std::byte* to) {
    const int64_t at = static_cast<int64_t>(chunk) * kStoredChunk;
    return from.read(at, {to, static_cast<size_t>(std::min(kStoredChunk, from.bytes - at))});
  };
  if (is_plain(*weight.info, from, *weight.resident)) return out;
  input.looker = weight.resident->piece_check(*weight.info, from.bytes);
  out.look = [&weight, looker = input.looker.get()](int64_t begin, std::span<const std::byte> chunk) {
    return refusal_of(*weight.info, *weight.resident, looker->look(begin, chunk));
  };
  return out;
}

Result<FeedInput> StagedInputs::tiles(Input& input, const TilePart& part) const {
  const CodedTiles& coded = *input.coded;
  const auto begins = coded.begins();
  const auto at = [&](int64_t tile) { return begins[static_cast<size_t>(tile)]; };
  const int64_t first = part.matrix.first_tile, end = part.end_tile();
  FeedInput out;
  std::vector<int64_t> firsts{first};  // tiles that chunks begin with, and the end
  for (int64_t t = first + 1; t <= end; ++t)
    if (t == end || at(t + 1) - at(firsts.back()) > kChunk) firsts.push_back(t);
  for (const int64_t t : firsts) out.cuts.push_back(at(t) - at(first));
  out.plain_bytes = part.matrix.plain_bytes();
  out.fill = [&coded, firsts = std::move(firsts)](size_t chunk, std::byte* to) {
    return coded.read(firsts[chunk], firsts[chunk + 1], to);
  };
  return out;
}

// Part after part, each given back to the ring when it is decoded.
Status StagedInputs::decode(Input& input, std::byte* plain) {
  const CodedTiles& coded = *input.coded;
  std::vector<int64_t> begins;
  for (const TilePart& part : input.parts) {
    TARE_ASSIGN_OR_RETURN(const WeightFeed::Arrived arrived, feed_->next());
    // Where it stays: memory that was made before its first bytes came.
    std::byte* const to = plain != nullptr ? plain : static_cast<std::byte*>(input.buffer->data());
    const auto all = coded.begins();
    begins.assign(all.begin() + part.matrix.first_tile, all.begin() + part.end_tile() + 1);
    for (int64_t i = std::ssize(begins) - 1; i >= 0; --i) begins[static_cast<size_t>(i)] -= begins.front();
    TARE_RETURN_IF_ERROR(
        decoder_->decode(*stream_, part.matrix, begins, arrived.data, to + part.plain_at).in(coded.name()));
    TARE_RETURN_IF_ERROR(decoder_->check(*stream_).in(coded.name()));
    feed_->release(arrived.number);
  }
  return {};
}

Result<StagedInputs::Ready> StagedInputs::take() {
  Input& input = inputs_[taken_++];
  Ready out;
  if (input.coded == nullptr) {
    TARE_ASSIGN_OR_RETURN(const WeightFeed::Arrived arrived, feed_->next());
    out.arrived.buffer = std::move(input.buffer);
    if (out.arrived.buffer == nullptr) out.arrived.rows = arrived.data, out.fed = arrived.number;
    if (out.arrived.buffer != nullptr) feed_->release(arrived.number);
    return out;
  }
  out.plain_bytes = input.coded->matrix().plain_bytes();
  out.decoded = input.weight.resident == nullptr;
  std::byte* plain = nullptr;
  if (out.decoded) {
    std::unique_lock lock(mutex_);
    std::optional<int64_t> at;
    changed_.wait(lock, [&] { return ending_ || (at = places_.take(out.plain_bytes)).has_value(); });
    if (ending_) return failure(Code::unavailable, "loading has stopped");
    out.arrived.rows = plain = static_cast<std::byte*>(plain_->data()) + *at;
  }
  TARE_RETURN_IF_ERROR(decode(input, plain));
  out.arrived.buffer = std::move(input.buffer);
  input.coded.reset();
  return out;
}

void StagedInputs::decode_ahead() {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    auto taken = take();
    std::unique_lock lock(mutex_);
    if (!taken.ok()) {
      failure_ = std::move(taken).status();
      changed_.notify_all();
      return;
    }
    ready_.push_back(std::move(*taken));
    changed_.notify_all();
    changed_.wait(lock, [&] { return ending_ || ready_.size() < kMostReady; });
    if (ending_) return;
  }
}

Result<StagedInputs::Arrived> StagedInputs::next() {
  if (thread_.joinable()) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !ready_.empty() || !failure_.ok(); });
    if (ready_.empty()) return failure_;
    given_ = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
  } else {
    TARE_ASSIGN_OR_RETURN(given_, take());
  }
  decoded_bytes_ += given_->plain_bytes;
  return std::move(given_->arrived);
}

void StagedInputs::done() {
  if (given_->fed >= 0) feed_->release(given_->fed);
  if (!given_->decoded) return;
  const std::lock_guard lock(mutex_);
  places_.give_back_oldest();
  changed_.notify_all();
}

}  // namespace tare
