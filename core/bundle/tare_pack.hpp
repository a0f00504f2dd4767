// Packing a model into a .tare bundle, restoring it, checking it. [loader]: each call uses all cores by itself.
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/api/model.hpp"
#include "core/api/status.hpp"

namespace tare {

// What the three have in common.
struct TareWork {
  int threads = 0;             // 0: all cores
  bool show_progress = false;  // a bar on standard error, when that is a terminal
  std::function<bool()> stop;  // asked now and then: true ends the work as cancelled, and nothing stays
};
struct PackOptions : TareWork {
  std::vector<std::string> exclude;  // shell patterns, on the relative name and on its last part
};
struct PackReport {
  int64_t plain_bytes = 0, bundle_bytes = 0, weight_bytes = 0, stored_weight_bytes = 0;
  std::vector<std::string> left_out;
  std::vector<std::pair<std::string, std::string>> info;  // as the bundle has it
  double seconds = 0;
};
// `source`: a Hugging Face folder or a .gguf file (then its BF16 expansion). `out` is there as a whole
// or not at all; what killed runs left beside it is taken away. Anonymous memory does not grow with tensors, but for 16
// bytes a tile of the largest one (and twice that while the list grows): 4 MiB for two blocks of output, and a thread
// 0.5 MiB that are read and one band, plain and coded. A band has the rows of a tile: 64 x 14336 BF16 are 1.8 MiB and
// at most 2.6 coded (a symbol has at most 12 bits); the largest there is has 16 MiB (64 x 65536 F32), and 32 threads
// then 1.3 GiB.
Result<PackReport> pack_tare(const std::string& source, const std::string& out,
                             std::span<const ModelFamily* const> families, const PackOptions& options);

// Restores every file into `out`, which must not exist or be empty; it appears as a whole. Anonymous memory: a thread
// has two tensors (one where a band has more than 4 MiB) with a band, plain and coded, and two blocks of output, 4 MiB:
// 28 MiB a thread, 44 with the largest bands there are.
Status unpack_tare(const std::string& path, const std::string& out, const TareWork& work);

struct VerifyOptions : TareWork {
  bool deep = false;    // decodes, and compares the SHA-256 of every tensor and file
  std::string against;  // a folder whose files must have the same bytes; empty: none. Decodes too.
};
// Every checksum and every byte between: at the speed of the disk. The first damage is named with its tensor or file.
Status verify_tare(const std::string& path, const VerifyOptions& options);

}  // namespace tare
