// Packing a serving bundle: every weight of a model's Program in the very layout that serving would give it on a
// device, which need not be here: host encoders lay out. [loader]: a call uses all cores.
#pragma once
#include <string>

#include "core/app/model.hpp"
#include "core/bundle/tare_pack.hpp"

namespace tare {

struct ServingPackOptions : PackOptions {
  std::string device = "cpu";  // one that is here ("cuda:0"), a described one ("nvidia-h100-sxm"), or a kind ("cuda")
  LoadOptions load = {};       // layout, objective and memory as serving has them
};

// `source`: a Hugging Face folder, a .gguf file or a .tare bundle of either sort. `out` is there as a whole or not at
// all. Anonymous memory: 1 MiB of plain rows a thread, what surveys count, and, of a serving bundle that is packed
// again, its largest weight. Refused: a plan that does not fit, a weight whose layout does not check bytes from files.
Result<PackReport> pack_serving(const Host& host, const std::string& source, const std::string& out,
                                const ServingPackOptions& options);

// The device that a name means: one that was found, else one that tuning-db/skus.toml describes.
Result<DeviceInfo> device_to_pack_for(const Host& host, const std::string& name);

}  // namespace tare
