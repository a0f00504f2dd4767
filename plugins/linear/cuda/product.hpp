// A product ready to launch: which kernel, on which resident matrix, for how many tokens. The adapter between tensors
// and raw pointers: everything is checked here, nothing in the kernels. A Product is launched by one thread at a time.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/api/device.hpp"
#include "core/api/kernel.hpp"
#include "jit/cuda_launch.hpp"
#include "jit/jit.hpp"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/config.hpp"

namespace tare::linear_cuda {

using AnyConfig = std::variant<StripConfig, ClusterConfig, StreamConfig, WideConfig, PortableConfig>;

std::string expression(const AnyConfig& config, Epilogue epilogue = Epilogue::kNone);
std::string label(const AnyConfig& config);
// The source file of the kernel that a config belongs to.
std::string source(const AnyConfig& config);
// The same kernel and shape on plain weights, with as many ring slots as fit: the oracle for exactness.
AnyConfig dense_variant(const AnyConfig& config);

// What a resident matrix is, without its bytes.
struct MatrixShape {
  WeightCode code = WeightCode::kW12;
  int32_t header_blocks = 1;
  RecordOrder order;
  int32_t leaves = 1;  // of its K sum: chosen once, part of its numerics
  int32_t base = 0;    // exponent of code 0 (w12)
};

// Can this kernel multiply that matrix by so many tokens, on a device with that many multiprocessors? Every "no" has a
// reason.
Verdict accepts(const AnyConfig& config, const MatrixShape& matrix, int32_t tokens, int32_t multiprocessors);

// A matrix in device memory; owns it.
struct ResidentMatrix {
  MatrixShape shape;
  std::unique_ptr<Buffer> payload, headers, overflow;
  uint32_t overflow_entries = 0;
  int64_t bytes() const {
    return static_cast<int64_t>(payload->bytes()) + (headers ? static_cast<int64_t>(headers->bytes()) : 0) +
           overflow_entries * int64_t{4};
  }
};

// A matrix in device memory that somebody else owns.
struct MatrixView {
  MatrixShape shape;
  const uint8_t* payload = nullptr;
  const uint8_t* headers = nullptr;    // null for dense
  const uint32_t* overflow = nullptr;  // null when there is none
};
MatrixView view_of(const ResidentMatrix& matrix);

// Where a product goes: bf16, or f32 as it is, where writes_f32() says so; with a bias, or without.
struct ProductOutput {
  uint16_t* bf16 = nullptr;
  float* f32 = nullptr;
  const uint16_t* bias = nullptr;
  const uint16_t* other = nullptr;  // of an epilogue: [tokens][rows]; then bf16 is set and f32 is not
  bool paired = false;              // with the launch before or after, LinearArguments says how; both pairs_up()
  bool operator==(const ProductOutput&) const = default;
};
bool writes_f32(const AnyConfig& config) noexcept;
// May run beside the launch before or after (ProductOutput::paired).
bool pairs_up(const AnyConfig& config) noexcept;
// Is one launch of gate and up: runs as a ProductStack only.
bool is_gated(const AnyConfig& config) noexcept;
// Bytes of flags that a launch for up to `tokens` tokens uses: zero before the first, left zero by every one.
int64_t flag_bytes(const AnyConfig& config, const MatrixShape& matrix, int32_t tokens,
                   int32_t multiprocessors) noexcept;

// The device, its launcher and the compiler, as every function here needs them; all outlive what is made with them.
struct Toolbox {
  Device& device;
  jit::CudaLaunch& launcher;
  jit::Jit& jit;
};

// Packs the plain matrix [rows][columns] at `plain` (device memory) on the device. w11 falls back to w12, and that to
// dense, when weights leave the range that it holds exactly, or when escapes are too many; `shape.code` then says so.
// Waits for the stream.
Result<ResidentMatrix> pack_matrix(const Toolbox& tools, Stream& stream, const uint16_t* plain, RecordOrder order,
                                   int32_t leaves, WeightCode code, std::string_view name);
// The plain matrix back, bit for bit. Does not wait.
Status unpack_matrix(const Toolbox& tools, Stream& stream, const ResidentMatrix& matrix, uint16_t* plain);

// Workspace that products of one stream share: they run one after the other.
struct Workspace {
  std::unique_ptr<Buffer> partials, flags;  // flags are zero between launches
};
inline constexpr int64_t kPartialBytes = int64_t{64} << 20, kFlagBytes = int64_t{1} << 20;
Result<Workspace> make_workspace(const Toolbox& tools, Stream& stream);

class Product {
 public:
  // activations: [tokens][columns], output: [tokens][rows], both device memory. `dependent`: launch before the kernel
  // ahead has ended.
  static Result<Product> prepare(const Toolbox& tools, const AnyConfig& config, const ResidentMatrix& matrix,
                                 const uint16_t* activations, uint16_t* output, int32_t tokens,
                                 const Workspace& workspace, bool dependent);
  // The two halves of prepare(): what depends on config and matrix, compiled; then, as often as wanted, what depends on
  // the step. partials, flags: as Workspace has them.
  static Result<Product> load(const Toolbox& tools, const AnyConfig& config, const MatrixView& matrix, bool dependent,
                              Epilogue epilogue = Epilogue::kNone);
  // The two halves of load(): a part of a ProductStack needs no kernel of its own.
  static Result<Product> describe(const Toolbox& tools, const AnyConfig& config, const MatrixView& matrix,
                                  bool dependent, Epilogue epilogue);
  Status compile(const Toolbox& tools);
  Status aim(const uint16_t* activations, const ProductOutput& output, int32_t tokens, void* partials, void* flags);
  // [graph-capturable]
  Status launch(Stream& stream);
  const AnyConfig& config() const noexcept { return config_; }

 private:
  friend class ProductStack;
  AnyConfig config_;
  Epilogue epilogue_ = Epilogue::kNone;
  MatrixShape matrix_;
  jit::CudaLaunch* launcher_ = nullptr;
  std::shared_ptr<jit::CudaKernel> kernel_;
  jit::LaunchShape shape_;
  jit::TensorMapBytes activations_, output_;
  std::array<jit::TensorMapBytes, 2> records_;  // payload, headers: RecordMaps in runs.cuh
  LinearArguments arguments_{};
  int32_t maps_ = 1;  // tensor maps that the kernel takes before its arguments: activations, output
};

// The kernel of a stack of products, all of one config; with an epilogue: of gate and up.
std::string stacked_expression(const AnyConfig& config, Epilogue epilogue = Epilogue::kNone);

// Products over the same activations in one launch: matrices too small for the device then fill it together, and none
// waits for the last tile of the one before. They are aimed one by one before each launch; all of them outlive it.
class ProductStack {
 public:
  // Can these be launched as one, for up to `tokens` tokens? They must have one config, no epilogue, and as many blocks
  // as are resident at once where blocks wait for each other. By a config that is_gated(): gate and up, which has the
  // epilogue.
  static bool fits(std::span<Product* const> products, int32_t tokens, int32_t multiprocessors) noexcept;
  static Result<ProductStack> load(const Toolbox& tools, std::vector<Product*> products);
  // For as many tokens as the products were aimed for; each has flags of its own, all start with the same partial sums.
  // [graph-capturable]
  Status launch(Stream& stream);

 private:
  std::vector<Product*> products_;
  jit::CudaLaunch* launcher_ = nullptr;
  std::shared_ptr<jit::CudaKernel> kernel_;
  std::array<std::array<jit::TensorMapBytes, 2>, kMostStacked> records_;
  std::array<jit::TensorMapBytes, kMostStacked> outputs_;
  StackedArguments arguments_{};
};

}  // namespace tare::linear_cuda
