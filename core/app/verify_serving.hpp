// Checking a serving bundle's weights by decoding them. [loader]: a call uses all cores.
#pragma once
#include <string>

#include "core/app/host.hpp"
#include "core/bundle/tare_pack.hpp"

namespace tare {

// Every laid-out weight of the bundle passes its layout's check, decodes to its SHA-256 and, with options.against,
// to the numbers that the model there has, bit for bit. The first that does not is named. A bundle without any passes.
// Memory: the largest weight. `num_weights`: how many there were.
Status verify_laid_out(const Host& host, const std::string& bundle, const VerifyOptions& options, int64_t* num_weights);

}  // namespace tare
