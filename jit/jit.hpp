// jit/1: turns kernel sources into machine code for a GPU. A plugin asks the registrar for this interface and includes
// no CUDA header. Thread rule: [any thread]; compilations of one call run in parallel.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/status.hpp"
#include "jit/source/bundle.hpp"

namespace tare::jit {

// One kernel: an expression over a source file. The architecture is a real one ("sm_90a"), no PTX is kept.
struct KernelRequest {
  std::string source;        // "plugins/linear/cuda/strip.cuh"
  std::string expression;    // "tare::linear_cuda::strip<tare::linear_cuda::StripConfig{.code = ..., ...}>"
  std::string architecture;  // "sm_90a"
  friend bool operator==(const KernelRequest&, const KernelRequest&) = default;
};

// What the assembler says about a kernel.
struct KernelResources {
  int32_t registers = 0;
  int32_t stack_bytes = 0;
  int32_t spill_store_bytes = 0;
  int32_t spill_load_bytes = 0;
  bool serialized_wgmma = false;  // the assembler made wgmma wait for each other (C7510..C7519): a slow kernel
};

struct CompiledKernel {
  std::vector<uint8_t> cubin;
  std::string symbol;  // the mangled name to look up in the loaded module
  KernelResources resources;
  bool from_cache = false;
  // Of the PTX that the compiler made on the way: what a record's kernel hash is, the same wherever the same sources
  // meet the same compiler. 32 hex digits.
  std::string ptx_hash = {};
  std::string compiler = {};  // which made it, "13.0.88"; empty: it does not say
};
// The compiler that jit/fetch_nvrtc.sh fetches: hashes in records of measurements are of its PTX.
inline constexpr std::string_view kPinnedCompiler = "13.0.88";

class Jit {
 public:
  static constexpr std::string_view kInterface = "jit/1";
  virtual ~Jit() = default;
  // Makes a plugin's sources known. Called while loading, before the first compile. invalid: another bundle has that
  // name.
  virtual Status add_bundle(const SourceBundle& bundle) = 0;
  // A compile error is `invalid` with the kernel's expression and the compiler's lines; not_found when NVRTC or a
  // source is missing.
  virtual Result<std::shared_ptr<const CompiledKernel>> compile(const KernelRequest& request) = 0;
  // All of them, on several threads; by position.
  virtual std::vector<Result<std::shared_ptr<const CompiledKernel>>> compile_all(
      std::span<const KernelRequest> requests) = 0;
  // Can anything be compiled here? Otherwise why not. Opens the compiler.
  virtual Status ready() = 0;
  // What was found where, for people: the compiler's version and folder, or why there is none; the cache folder. Opens
  // the compiler.
  virtual std::vector<std::string> found() = 0;
};

}  // namespace tare::jit
