// Records of measurements (JSON lines of `tare bench linear`) and the kernels that they speak of: the hash of the PTX
// that the pinned NVRTC makes of each tells whether a figure still belongs to the tree's code. One thread.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "jit/compile/nvrtc.hpp"
#include "jit/jit.hpp"
#include "jit/source/bundle.hpp"

namespace tare::records {

inline constexpr const char* kUsual = "sm_90a";  // of records that name no architecture

// PTX hashes of kernels, each compiled once. By (source, expression, architecture).
class KernelHashes {
 public:
  KernelHashes(const jit::Nvrtc& nvrtc, jit::SourceSet sources) : nvrtc_(nvrtc), sources_(std::move(sources)) {}
  // A message in words when the kernel does not compile any more: then it is certainly not the one that was measured.
  // unsupported: the compiler is not the one that hashes are of.
  Result<std::string> hash(const std::string& source, const std::string& expression,
                           const std::string& architecture = kUsual);

 private:
  const jit::Nvrtc& nvrtc_;
  jit::SourceSet sources_;
  std::map<std::string, Result<std::string>> known_;
};

struct Kernel {
  std::string source, expression, ptx;  // ptx: hash as recorded; empty in old records
};
// One layer's row: what a table shows in one line.
struct LayerRecord {
  std::string device, code, architecture = kUsual;
  int tokens = 0;
  std::vector<Kernel> kernels;
};
// The layer records of a file; invalid: a line that is no JSON object of that form.
Result<std::vector<LayerRecord>> read_layers(const std::string& path);
// Fills in the hashes of all layer records of a file and writes it back: what a measurement with another compiler left
// out. A record whose own hash is another than the tree's is left alone; how many there are.
Result<int64_t> add_hashes(const std::string& path, KernelHashes& hashes);
// Does every kernel of the record have the hash that the tree's code has today? No hash counts as no.
bool is_current(const LayerRecord& record, KernelHashes& hashes);

// Rows "| 128 | ..." of the sections of a Markdown page whose heading contains `heading`, by their first number.
std::multimap<int, std::string> table_rows(const std::string& markdown, const std::string& heading);

}  // namespace tare::records
