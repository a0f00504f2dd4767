// The text side of a model folder, wherever its files lie: on disk or in a bundle. [loader]
#pragma once
#include "core/base/file.hpp"
#include "core/bundle/checkpoint.hpp"

namespace tare {

class TextFiles {
 public:
  virtual ~TextFiles() = default;
  virtual bool has(std::string_view name) const = 0;
  // Empty when it is absent.
  virtual Result<std::string> read(std::string_view name, int64_t most) const = 0;
  virtual Result<std::shared_ptr<const File>> open(std::string_view name) const = 0;
  virtual std::string place(std::string_view name) const = 0;  // for messages
};
// config.json, which must be there, tokenizer files and chat template into the checkpoint; its name is set.
Status read_text_files(const TextFiles& files, Checkpoint* checkpoint);
// A note when tensors are stored in types that are not read.
void note_unread(const WeightSource& weights, std::vector<std::string>* notes);

}  // namespace tare
