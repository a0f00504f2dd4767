// tare cache fill: compiles what tuning a GPU will want, on a machine that need not have one.
#pragma once
#include "core/app/cli.hpp"

namespace tare {

void add_cache_fill(CLI::App& cache, CommandLine& line);

}  // namespace tare
