// What this build is. Filled in by CMake.
#pragma once

namespace tare {
extern const char* const kVersion;  // "0.1.0"
extern const char* const kCommit;   // of the source tree at configure time, or "unknown"
extern const char* const kBuild;    // compiler, build type, sanitizers
}  // namespace tare
