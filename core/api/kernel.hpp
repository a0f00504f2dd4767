// Kernels and layouts: what a kernel plugin declares. A candidate answers questions about a Problem without touching a
// device; an Instance is what runs. Thread rule: candidates and layouts are const and [any thread]; an Instance is
// launched by one thread at a time.
#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/attributes.hpp"
#include "core/api/device.hpp"
#include "core/api/op_definition.hpp"
#include "core/api/step.hpp"
#include "core/api/view.hpp"

namespace tare {

// Yes, or no with a reason ("K = 100 is not a multiple of 32"): `tare explain` prints every reason.
struct Verdict {
  std::string reason;  // empty: yes
  explicit operator bool() const noexcept { return reason.empty(); }
  static Verdict yes() { return {}; }
  template <class... A>
  static Verdict no(const A&... parts) {
    return {text(parts...)};
  }
};

struct WeightInfo {
  std::string name;
  DType dtype = DType::bf16;  // of its numbers
  Shape shape;
  int64_t input_dims = 0;             // trailing dimensions that the op sums over
  int64_t outputs() const noexcept {  // N of a matrix: the product of the dimensions that are not summed over
    int64_t n = 1;
    for (size_t i = 0; i + static_cast<size_t>(input_dims) < shape.size(); ++i) n *= shape[i].size;
    return n;
  }
  int64_t inputs() const noexcept {  // K of a matrix
    int64_t k = 1;
    for (size_t i = shape.size() - static_cast<size_t>(input_dims); i < shape.size(); ++i) k *= shape[i].size;
    return k;
  }
};

struct ProblemOp {
  std::string op;  // "linear/1"
  Attributes attributes;
  std::vector<TensorInfo> inputs, results;
  std::vector<std::optional<WeightInfo>> weights;  // by position; absent ones are empty
  std::optional<StateKind> state;
  // For ops after the first of a chain: which of its inputs is the chain's own value so far (the others come from
  // outside).
  int32_t chain_input = -1;
  // The same input by input: the result of the op before that it is, or -1 for one from outside. Empty for the first
  // op.
  std::vector<int32_t> chain_results = {};
};
// One node, or a chain of neighbours that a kernel would take together, for one device and batch bucket.
struct Problem {
  std::string device_kind;
  std::vector<std::string> features;  // of the device
  int32_t units = 0;                  // DeviceInfo::units; 0: unknown
  std::vector<ProblemOp> ops;         // each uses a result of the one before
  int64_t rows = 1;                   // the most rows this bucket has
  int64_t sequences = 1;
  bool deterministic = true;
  std::span<const std::vector<float>> constants;  // the Program's tables, by Constant::id
  const ProblemOp& first() const noexcept { return ops.front(); }
};

// A chosen config: the printable form of the plugin's own struct.
using KernelConfig = Attributes;

class Layout;
// One weight as it lies on the device.
struct WeightView {
  const void* data = nullptr;
  int64_t bytes = 0;
  std::string_view layout;           // Layout::id
  const WeightInfo* info = nullptr;  // absent weights: null
  const Layout* decoder = nullptr;   // of that layout: reads rows out of it on the host
  // Its first min(bytes, kWeightHeadBytes) in host memory, where layouts keep their header; null: read them at `data`.
  const void* head = nullptr;
};
inline constexpr int64_t kWeightHeadBytes = 256;

struct Launch {
  Device& device;
  Stream& stream;
  const StepView& step;
  std::span<const TensorView> inputs;   // of all ops of the chain, in order, without the chain's own values
  std::span<const TensorView> outputs;  // values that leave the chain, in order
  std::span<const WeightView> weights;  // of all ops, in order and by position; absent ones have data = null
  const StateView* state = nullptr;
  std::span<std::byte> scratch;  // scratch_bytes() of it, in device memory
};
class Instance {
 public:
  virtual ~Instance() = default;
  // Once before the first launch, with the weights that every launch will have: the place to compile what depends on
  // how they lie. An executor calls it; whoever launches without it pays at the first launch.
  virtual Status bind(std::span<const WeightView>) noexcept { return {}; }
  virtual Status launch(const Launch& launch) noexcept = 0;
  // Yes when launch() does nothing but put work on the stream, which depends on the step only through its counts and
  // through the addresses and strides of its arrays: then what it put there once may be recorded (work_recorder/1), and
  // launched again for other numbers in the same arrays. A first launch of the same shape has come before.
  virtual bool replays() const noexcept { return false; }
};

class KernelCandidate {
 public:
  virtual ~KernelCandidate() = default;
  virtual std::string_view id() const noexcept = 0;             // "linear.cpu_amx": unique in the registry
  virtual std::string_view device_kind() const noexcept = 0;    // "cpu"
  virtual std::vector<std::string> takes() const = 0;           // chain of ops: {"linear/1"}, {"linear/1", "add/1"}
  virtual bool is_reference() const noexcept { return false; }  // the oracle: chosen only when nothing else can

  virtual Verdict supports(const Problem& problem) const noexcept = 0;
  // The order in which sums are added: kernels with one id give the same bits at every batch size, fused or not. Empty:
  // declares none, so it may not run in a deterministic Plan.
  virtual std::string numerics(const Problem& problem) const = 0;
  // Layouts that it can read weight `position` of op `op_index` in, best first; "*": any, through WeightView::decoder.
  virtual std::vector<std::string> layouts(const Problem& problem, size_t op_index, size_t position) const = 0;
  virtual KernelConfig fallback(const Problem& problem) const = 0;  // always valid, constant time, runs nothing
  virtual std::vector<KernelConfig> space(const Problem& problem) const { return {fallback(problem)}; }  // pruned
  virtual Verdict accepts(const Problem&, const KernelConfig&) const noexcept {
    return Verdict::yes();
  }  // guards stored ones
  virtual int64_t scratch_bytes(const Problem&, const KernelConfig&) const { return 0; }
  // Of a chain: the candidate of its first op alone whose configs this one takes too, so that what was measured of that
  // serves where the chain was not. Empty: none.
  virtual std::string_view tuned_as() const noexcept { return {}; }
  // Changes when the kernel's code does: tuning entries that were measured under another hash are hints. Empty:
  // unknown.
  virtual std::string hash() const { return {}; }
  virtual Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                                     const KernelConfig& config) const = 0;
};

// Codes that look at the numbers before they lay them out (which exponents are common, how many escapes a matrix has)
// do so in two passes: a LayoutSurvey sees every row, then a LayoutPlan knows the bytes exactly and encodes.
class LayoutPlan {
 public:
  virtual ~LayoutPlan() = default;
  virtual int64_t bytes() const noexcept = 0;  // exact, padding included; at most Layout::bytes()
  // What was chosen, for people: "w12, 12.02 bits a weight", "dense, since 31.2 % of the weights are escapes".
  virtual std::string note() const = 0;
  virtual bool pays() const noexcept { return true; }  // false: the code fell back by itself to plain numbers
  // As Layout::encode(). [any thread] for ranges that do not overlap.
  virtual Status encode(int64_t row_begin, int64_t row_end, const void* plain, void* out) const = 0;
};
class LayoutSurvey {
 public:
  virtual ~LayoutSurvey() = default;
  // Every row once, in ranges as encode() takes them, in any order. [any thread]
  virtual Status look(int64_t row_begin, int64_t row_end, const void* plain) noexcept = 0;
  // After the last look().
  virtual Result<std::unique_ptr<LayoutPlan>> finish() = 0;
};

// Lays whole weights out on a device itself, from plain numbers in its memory: what a layout offers for devices that
// are faster at it than the host. One thread.
class DeviceEncoder {
 public:
  struct Encoded {
    std::unique_ptr<Buffer> buffer;  // the laid-out weight, of exactly its bytes
    std::string note;                // as LayoutPlan::note()
    bool pays = true;
  };
  virtual ~DeviceEncoder() = default;
  // `plain`: the row-major matrix [outputs, inputs] in device memory, written by work on `stream` before. Has finished
  // with it when it returns.
  virtual Result<Encoded> encode(Stream& stream, const WeightInfo& weight, const void* plain,
                                 std::string_view label) = 0;
};

// Layout::check() of a weight that passes by in pieces, so that nobody has to hold all of it.
class PieceCheck {
 public:
  static constexpr int64_t kAlignment = 4096;  // pieces begin at multiples of it
  virtual ~PieceCheck() = default;
  // Bytes [begin, begin + piece.size()) of the weight, every byte once. The piece at 0 comes first and has
  // kWeightHeadBytes or all; it has been answered when the others come, in any order. Where every answer was yes,
  // Layout::check() would say so of the whole. [any thread]
  virtual Verdict look(int64_t begin, std::span<const std::byte> piece) noexcept = 0;
};

// How a weight lies in device memory: a code (which bytes) and an order (where they lie): id "code/order", for example
// "dense/rows", "dense/cpu-tiles", "w12/cpu-tiles". The numbers survive exactly: decode(encode(x)) == x, bit for bit.
class Layout {
 public:
  virtual ~Layout() = default;
  virtual std::string_view id() const noexcept = 0;
  virtual std::string_view device_kind() const noexcept { return ""; }  // empty: any
  virtual Verdict supports(const WeightInfo& weight) const noexcept = 0;
  // Bytes that encode() may write at most, padding included.
  virtual int64_t bytes(const WeightInfo& weight) const noexcept = 0;
  // Rows [row_begin, row_end) of the plain row-major matrix [outputs, inputs] at `plain` (row row_begin first) into
  // `out`, the start of the whole laid-out weight. Ranges are multiples of row_granule() but for the last.
  virtual Status encode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* plain,
                        void* out) const = 0;
  // The way back, for any range of rows.
  virtual Status decode(const WeightInfo& weight, int64_t row_begin, int64_t row_end, const void* in,
                        void* plain) const = 0;
  virtual int64_t row_granule() const noexcept { return 1; }
  // Bytes of a weight with numbers as trained models have them: for plans that are made before a number is read.
  virtual int64_t expected_bytes(const WeightInfo& weight) const noexcept { return bytes(weight); }
  // Null: one pass is enough. Otherwise the plan's encode() is what one wants; the one above still works, at the size
  // of bytes().
  virtual Result<std::unique_ptr<LayoutSurvey>> survey(const WeightInfo&) const {
    return std::unique_ptr<LayoutSurvey>();
  }
  // Null: the host lays it out. The encoder outlives neither the layout nor `device`.
  virtual Result<std::unique_ptr<DeviceEncoder>> device_encoder(Device&) const {
    return std::unique_ptr<DeviceEncoder>();
  }

  // Weights may lie in a file as they lie in memory (serving bundles). Of one id and version, bytes mean the same in
  // every build: a change of what encode() writes is a new version.
  virtual uint32_t version() const noexcept { return 1; }
  // May decode() and every kernel that reads this layout be handed `laid_out`, a whole weight that somebody else wrote?
  // Kernels trust what lies there (where escapes begin, how many there are), so this is the only thing between a
  // damaged or hostile file and them: yes only where no read can leave `laid_out`. Any bytes of any number may come,
  // aligned as buffers are. A layout that does not say is never loaded from a file.
  virtual Verdict check(const WeightInfo&, std::span<const std::byte>) const noexcept {
    return Verdict::no("its plugin does not check bytes that come from a file");
  }
  // For a weight of `bytes` bytes; the WeightInfo outlives the result. Null: only check() says it, of the whole.
  virtual std::unique_ptr<PieceCheck> piece_check(const WeightInfo&, int64_t) const { return nullptr; }
};

}  // namespace tare
