// CodedTiles of a .tare bundle.
#pragma once
#include <memory>

#include "core/bundle/coded_tiles.hpp"
#include "core/bundle/tare_bundle.hpp"

namespace tare {

// Of a tensor of codec exp-ans; null for the others. `tensor` is one of the bundle's directory.
std::unique_ptr<CodedTiles> coded_tiles(std::shared_ptr<const TareBundle> bundle, const TareTensor& tensor);

}  // namespace tare
