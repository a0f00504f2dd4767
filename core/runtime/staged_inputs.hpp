// StagedInputs: weights on their way to a device, one after the other: as plain rows that the device lays out itself,
// or as what they will be there, to memory of their own. Entropy-coded tiles travel as they are where the device
// decodes them (tile_decoder/1), by a thread of its own: one weight is decoded while another is laid out. One thread.
#pragma once
#include <optional>

#include "core/bundle/coded_tiles.hpp"
#include "core/runtime/lay_out.hpp"
#include "core/runtime/tile_parts.hpp"
#include "core/runtime/weight_feed.hpp"

namespace tare {

class StagedInputs {
 public:
  // `weights`: in the order in which they will be asked for; the decls, infos, layouts and the source outlive the
  // result.
  struct Weight {
    const WeightDecl* decl;
    const WeightInfo* info;
    const Layout* resident = nullptr;          // it stays as it arrives, in this layout: plain rows, or
    std::optional<LaidOutWeight> stored = {};  // these bytes. Null: the device lays out the rows that arrive
  };
  struct Arrived {
    const void* rows = nullptr;      // plain rows, or
    std::unique_ptr<Buffer> buffer;  // the whole weight as it stays, of exactly its bytes
  };
  // Of coded tiles: numbers that are decoded at once. Enough tiles for a whole device, and half a ring of bytes at
  // most.
  static constexpr int64_t kPartBytes = int64_t{128} << 20;
  static Result<std::unique_ptr<StagedInputs>> create(Device& device, std::vector<Weight> weights,
                                                      const PlainWeights& source, std::string_view label,
                                                      const std::function<void(int64_t)>& advance,
                                                      int64_t part_bytes = kPartBytes);
  ~StagedInputs();
  StagedInputs(const StagedInputs&) = delete;
  // Can rows travel so? One must fit into a chunk.
  static bool takes(const WeightInfo& info) noexcept;
  // Can what a file holds of a weight be sent as it is? Rows of numbers, or what its layout looks at in pieces.
  static bool takes(const WeightInfo& info, const LaidOutWeight& stored, const Layout& layout);

  // The next weight in device memory. Corrupt, with the tensor and the tile, where a decoder met damage.
  Result<Arrived> next();
  // Nothing reads the rows of the last next() any more.
  void done();
  int64_t decoded_bytes() const noexcept { return decoded_bytes_; }  // plain bytes that the device decoded

 private:
  StagedInputs() = default;
  struct Input {
    Weight weight;
    std::unique_ptr<CodedTiles> coded;   // null: it travels as rows, or as it is stored
    std::vector<TilePart> parts;         // of those
    std::unique_ptr<PieceCheck> looker;  // of what is stored
    std::unique_ptr<Buffer> buffer;      // where it stays; made when its first bytes are about to travel
  };
  struct Sent {  // what the feed takes as one
    size_t input;
    size_t part;
  };
  struct Ready {
    Arrived arrived;
    int64_t fed = -1;         // the input of the feed whose bytes the rows are; -1: they are not
    bool decoded = false;     // the rows lie in plain_
    int64_t plain_bytes = 0;  // that were decoded
  };
  // Memory for what is coded and the rest, and the threads. Exhausted: the device has not that much.
  Status start(std::string_view label, const std::function<void(int64_t)>& advance, int64_t part_bytes);
  Result<FeedInput> open(const Sent& sent);
  FeedInput rows(const Weight& weight) const;
  FeedInput stored(Input& input) const;
  Result<FeedInput> tiles(Input& input, const TilePart& part) const;
  Result<Ready> take();                           // the weight behind the last one
  Status decode(Input& input, std::byte* plain);  // plain null: to its buffer
  void decode_ahead();

  Device* device_ = nullptr;
  std::string label_;
  std::vector<Input> inputs_;
  std::vector<Sent> sent_;
  const PlainWeights* source_ = nullptr;
  std::unique_ptr<DeviceTileDecoder> decoder_;  // null: the device has none
  std::unique_ptr<Stream> stream_;              // that it works on
  std::unique_ptr<Buffer> plain_;               // that it decodes to what the device lays out
  size_t taken_ = 0;
  int64_t decoded_bytes_ = 0;
  std::optional<Ready> given_;  // by next(), without its buffer

  std::mutex mutex_;  // of what follows, where weights are decoded ahead
  std::condition_variable changed_;
  RingPlaces places_;  // in plain_
  std::deque<Ready> ready_;
  Status failure_;
  bool ending_ = false;

  std::unique_ptr<WeightFeed> feed_;  // its threads use what stands above
  std::thread thread_;                // decodes ahead; none where nothing is coded
};

}  // namespace tare
