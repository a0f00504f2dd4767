// Configurations as text: the expression that NVRTC compiles, which is also what logs, the tuning database and the
// cache hold. Every field is printed: an omitted one would silently take its default. Pure: [any thread].
#pragma once
#include <string>

#include "plugins/linear/cuda/config.hpp"

namespace tare::linear_cuda {

// "tare::linear_cuda::strip<tare::linear_cuda::StripConfig{.code = tare::linear_cuda::WeightCode::kW12, .header_blocks
// = 1, ...}>"
std::string expression(const StripConfig& config);
std::string expression(const ClusterConfig& config);
std::string expression(const StreamConfig& config);
std::string expression(const WideConfig& config);
std::string expression(const PortableConfig& config);
std::string pack_expression(const PackConfig& config);
std::string unpack_expression(const PackConfig& config);

// The short form for tables: "strip w12 h1 n8 p2 k4 s6".
std::string label(const StripConfig& config);
std::string label(const ClusterConfig& config);
std::string label(const StreamConfig& config);
std::string label(const WideConfig& config);
std::string label(const PortableConfig& config);

}  // namespace tare::linear_cuda
