// What is said of a checkpoint whose architecture no family knows: the nearest family, and where the config differs
// from those that it reads. [loader]
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/api/model.hpp"

namespace tare {

struct NearestFamily {
  const ModelFamily* family = nullptr;  // null: there are none
  std::string architecture;             // of its architectures, the one whose name is nearest
  std::vector<std::string> unknown;     // keys of the config that the family never reads
  std::vector<std::string> missing;     // keys that it cannot do without and the config lacks, as sentences
};
// The family that reads the most of the config's keys and lacks the least; among equals the one with the nearest name.
NearestFamily nearest_family(const Config& config, std::span<const ModelFamily* const> families);

// One sentence: architecture, nearest family, fields that differ.
Status unknown_architecture(const Config& config, std::span<const ModelFamily* const> families);

}  // namespace tare
