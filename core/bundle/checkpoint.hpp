// A checkpoint as it lies on disk: configuration, text side and weights, whatever the format. [loader]
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/api/model.hpp"
#include "core/api/text.hpp"
#include "core/bundle/weight_source.hpp"

namespace tare {

struct Checkpoint {
  enum class Kind : uint8_t { folder, gguf, tare };
  Kind kind = Kind::folder;
  std::string path;         // as it was asked for
  std::string name;         // the folder's or the file's name without its ending
  std::string config_json;  // a GGUF's is made from its metadata
  Config::Values config;
  TextSource text;
  std::unique_ptr<WeightSource> weights;  // null when CheckpointOptions::weights is false
  // The type of the matrices as presented: what a program of this checkpoint computes in, if a device can.
  DType dtype = DType::bf16;
  // Weights that lie as a device has them in memory, by name: those of serving bundles.
  struct StoredLayout {
    std::string layout;  // Layout::id
    uint32_t version = 0;
    int64_t bytes = 0;
  };
  std::map<std::string, StoredLayout, std::less<>> layouts;
  std::vector<std::string> notes;  // sentences for people: what is expanded and that this rounds, what is not read
};
constexpr std::string_view name(Checkpoint::Kind kind) noexcept {
  return kind == Checkpoint::Kind::gguf   ? "GGUF"
         : kind == Checkpoint::Kind::tare ? "tare bundle"
                                          : "safetensors folder";
}

struct CheckpointOptions {
  bool weights = true;  // false: config and text only; a folder then needs nothing but config.json
  // A GGUF of an architecture that no family reads: true opens it all the same, for looking at its tensors under their
  // own names; false refuses it.
  bool any_architecture = false;
};
// `path`: a Hugging Face folder, one of its .safetensors files (then only that file's tensors), a .gguf file or a
// .tare bundle.
// `families`: whose GGUF mappings are used. Every failure is one sentence; a name such as org/model that is no path is
// answered with the command that downloads it.
Result<Checkpoint> open_checkpoint(const std::string& path, std::span<const ModelFamily* const> families,
                                   const CheckpointOptions& options = {});

// The formats, for open_checkpoint.
Result<Checkpoint> open_folder(const std::string& path, const CheckpointOptions& options);
Result<Checkpoint> open_gguf(const std::string& path, std::span<const ModelFamily* const> families,
                             const CheckpointOptions& options);
Result<Checkpoint> open_tare(const std::string& path, const CheckpointOptions& options);

// Of the tensors with at least two dimensions, the presented type that holds most elements (BF16 when there are none).
DType main_dtype(const WeightSource& weights) noexcept;

}  // namespace tare
