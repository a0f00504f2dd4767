// What reading blocks of a bundle needs and uses again, and the check of a piece: between tare_bundle.cpp and
// tare_reader.cpp. [one thread]
#pragma once
#include <optional>

#include "core/base/buffer.hpp"
#include "core/bundle/tare_bundle.hpp"

namespace tare {

struct TareBundle::Scratch {
  Buffer coded, plain;
  std::optional<TileDecoder> decoder;  // of the tensor that the scratch is for
};
Status check_piece(std::span<const std::byte> piece, uint64_t hash, const std::string& what, int64_t index);

}  // namespace tare
