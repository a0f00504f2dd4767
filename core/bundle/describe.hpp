// What `tare inspect` says of a checkpoint: plain values to print. [any thread]
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/bundle/checkpoint.hpp"

namespace tare {

struct CheckpointDescription {
  struct Type {
    std::string stored, presented;  // "Q4_1", "bf16"; presented is empty for a type that is not read
    int64_t tensors = 0, elements = 0, stored_bytes = 0, presented_bytes = 0;
  };
  std::string path, name;
  std::string kind;          // "GGUF", "safetensors folder"
  std::string architecture;  // config.json's first
  std::string tokenizer;     // "tokenizer.json", "GGUF (gpt2, llama-bpe)" or empty
  bool has_chat_template = false;
  int64_t parameters = 0;  // elements of all tensors
  int64_t stored_bytes = 0, presented_bytes = 0;
  bool expands = false;               // some tensors are quantised: expanding them rounds
  std::vector<Type> types;            // most elements first
  std::vector<StoredTensor> tensors;  // in order of name
  std::vector<std::string> notes;
};
// Opens the checkpoint, a GGUF of any architecture included. Reads no weights but the vectors that are stored wider
// than they are presented: the notes say how many of their values that rounds.
Result<CheckpointDescription> describe_checkpoint(const std::string& path,
                                                  std::span<const ModelFamily* const> families);

}  // namespace tare
