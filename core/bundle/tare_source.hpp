// What a bundle is packed from: plain files and shards of tensors, in order, each readable by position. [any thread]
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/bundle/checkpoint.hpp"

namespace tare {

using ReadAt = std::function<Status(int64_t offset, std::span<std::byte> out)>;
struct TareSource {
  struct Tensor {
    std::string name, dtype;
    std::vector<int64_t> shape;
    int64_t begin, bytes;  // in the shard
  };
  struct Item {
    std::string name;
    bool shard = false, weights = false;
    int64_t bytes = 0, head_bytes = 0;  // head_bytes: a shard's length word and header
    std::vector<Tensor> tensors;        // in order of offset
    ReadAt read;
  };
  std::vector<Item> items;
  std::vector<std::pair<std::string, std::string>> info;
  std::vector<std::string> left_out;
  std::shared_ptr<const Checkpoint> keeps;  // what the readers read from
};
Result<TareSource> open_tare_source(const std::string& path, std::span<const ModelFamily* const> families,
                                    const std::vector<std::string>& exclude);

}  // namespace tare
