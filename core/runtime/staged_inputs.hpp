// StagedInputs: weights on their way to a device, one after the other: as plain rows that the device lays out itself,
// or as what they will be there, to memory of their own. Entropy-coded tiles travel as they are where the device
// decodes them (tile_decoder/1). One thread.
#pragma once
#include "core/bundle/coded_tiles.hpp"
#include "core/runtime/weight_feed.hpp"
#include "core/runtime/weights.hpp"

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
  static Result<std::unique_ptr<StagedInputs>> create(Device& device, std::vector<Weight> weights,
                                                      const PlainWeights& source, std::string_view label,
                                                      const std::function<void(int64_t)>& advance);
  // Can rows travel so? One must fit into a chunk.
  static bool takes(const WeightInfo& info) noexcept;

  // The next weight in device memory, once work that is put on `stream` from now on runs.
  Result<Arrived> next(Stream& stream);
  // Nothing reads its rows any more. Waits for the decoder: corrupt, with the tensor and the tile, where it met damage.
  Status done(Stream& stream);
  int64_t decoded_bytes() const noexcept { return decoded_bytes_; }  // plain bytes that the device decoded

 private:
  StagedInputs() = default;
  struct Input {
    Weight weight;
    std::unique_ptr<CodedTiles> coded;  // null: it travels as rows, or as it is stored
    std::unique_ptr<Buffer> buffer;     // where it stays; made when its first bytes are about to travel
  };
  // Memory for what is coded and the rest, and the threads. Exhausted: the device has not that much.
  Status start(std::string_view label, const std::function<void(int64_t)>& advance);
  Result<FeedInput> open(Input& input) const;
  FeedInput rows(const Weight& weight) const;
  FeedInput stored(const Weight& weight) const;
  Result<FeedInput> tiles(CodedTiles& coded) const;

  Device* device_ = nullptr;
  std::string label_;
  std::vector<Input> inputs_;
  const PlainWeights* source_ = nullptr;
  std::unique_ptr<DeviceTileDecoder> decoder_;  // null: the device has none
  std::unique_ptr<Buffer> plain_;               // that it decodes to what the device lays out
  size_t at_ = 0;
  int64_t decoded_bytes_ = 0;
  std::unique_ptr<WeightFeed> feed_;  // last: its threads use the others
};

}  // namespace tare
