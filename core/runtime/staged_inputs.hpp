// StagedInputs: weights that a device lays out itself, as plain rows in its memory, one after the other. Entropy-coded
// tiles travel as they are where the device decodes them (tile_decoder/1); all else as plain rows. One thread.
#pragma once
#include "core/bundle/coded_tiles.hpp"
#include "core/runtime/weight_feed.hpp"
#include "core/runtime/weights.hpp"

namespace tare {

class StagedInputs {
 public:
  // `weights`: in the order in which they will be asked for; the decls, infos and the source outlive the result.
  struct Weight {
    const WeightDecl* decl;
    const WeightInfo* info;
  };
  static Result<std::unique_ptr<StagedInputs>> create(Device& device, std::vector<Weight> weights,
                                                      const PlainWeights& source, std::string_view label,
                                                      const std::function<void(int64_t)>& advance);
  // Can it travel so? A row must fit into a chunk.
  static bool takes(const WeightInfo& info) noexcept;

  // The next weight's rows in device memory, once work that is put on `stream` from now on runs.
  Result<const void*> next(Stream& stream);
  // Nothing reads it any more. Waits for the decoder: corrupt, with the tensor and the tile, where it met damage.
  Status done(Stream& stream);
  int64_t decoded_bytes() const noexcept { return decoded_bytes_; }  // plain bytes that the device decoded

 private:
  StagedInputs() = default;
  // Memory for what is in coded_ and the rest, and the threads. Exhausted: the device has not that much.
  Status start(Device& device, std::string_view label, const std::function<void(int64_t)>& advance);
  Result<FeedInput> open(size_t i);
  FeedInput rows(const Weight& weight) const;
  Result<FeedInput> tiles(CodedTiles& coded) const;

  std::vector<Weight> weights_;
  const PlainWeights* source_ = nullptr;
  std::vector<std::unique_ptr<CodedTiles>> coded_;  // by weight; null: plain rows
  std::unique_ptr<DeviceTileDecoder> decoder_;      // null: the device has none
  std::unique_ptr<Buffer> plain_;                   // that it decodes to
  size_t at_ = 0;
  int64_t decoded_bytes_ = 0;
  std::unique_ptr<WeightFeed> feed_;  // last: its threads use the others
};

}  // namespace tare
