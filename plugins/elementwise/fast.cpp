// The fast kernels: vectors over pieces of rows, threads over pieces. SiLU and GELU of BF16 come from a table of all
// 65536 values, filled by the formula itself; of F32 they are the formula, so that bits equal those of products that
// apply an activation to their own results.
#include <map>
#include <mutex>

#include "core/api/activation.hpp"
#include "plugins/elementwise/elementwise.hpp"
#include "plugins/elementwise/pieces.hpp"

namespace tare::elementwise {
namespace {

// round(activation(x)) of every BF16 x.
using ActivationTable = std::vector<uint16_t>;

// One table for each activation in use, for as long as an instance uses it. [any thread]
class ActivationTables {
 public:
  std::shared_ptr<const ActivationTable> get(Activation activation) {
    const std::lock_guard lock(mutex_);
    auto& kept = tables_[activation];
    auto table = kept.lock();
    if (table == nullptr) {
      auto fresh = std::make_shared<ActivationTable>(65536);
      for (uint32_t bits = 0; bits < 65536; ++bits)
        (*fresh)[bits] = to_bf16(activated(to_float(bf16{static_cast<uint16_t>(bits)}), activation)).bits;
      kept = table = fresh;
    }
    return table;
  }

 private:
  std::mutex mutex_;
  std::map<Activation, std::weak_ptr<const ActivationTable>> tables_;
};

class FastRows final : public Instance {
 public:
  FastRows(std::string_view id, PieceFunction function, const Piece& piece,
           std::shared_ptr<const ActivationTable> table, CpuParallel& parallel)
      : id_(id), function_(function), piece_(piece), table_(std::move(table)), parallel_(parallel) {
    if (table_ != nullptr) piece_.table = table_->data();
  }

  Status launch(const Launch& launch) noexcept override {
    const TensorView &a = launch.inputs[0], &b = launch.inputs.back(), &out = launch.outputs[0];
    const bool two = launch.inputs.size() > 1;
    const int64_t width = out.row_elements(), rows = out.rows();
    if (a.row_elements() != width || b.row_elements() != width || a.rows() < rows || b.rows() < rows)
      return Status(Code::internal,
                    text(id_, ": inputs are ", to_string(a), " and ", to_string(b), ", the result ", to_string(out)));
    if (table_ != nullptr && (a.dtype != DType::bf16 || out.dtype != DType::bf16))
      return Status(Code::internal, text(id_, ": tensors are not of the types that the Problem named"));
    const int64_t pieces = (width + kPiece - 1) / kPiece;
    const auto body = [&](int64_t begin, int64_t end, int32_t) {
      Piece piece = piece_;
      piece.a_bf16 = a.dtype == DType::bf16, piece.b_bf16 = b.dtype == DType::bf16;
      piece.out_bf16 = out.dtype == DType::bf16;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t r = i / pieces, first = i % pieces * kPiece;
        piece.count = std::min(kPiece, width - first);
        piece.a = element(a, r, first), piece.b = two ? element(b, r, first) : nullptr;
        piece.out = element(out, r, first);
        function_(piece);
      }
    };
    const int64_t count = rows * pieces;
    if (rows * width <= kGrain)
      body(0, count, 0);
    else
      parallel_.run(count, std::max<int64_t>(1, kGrain / std::min(kPiece, width)), body);
    return {};
  }

 private:
  static constexpr int64_t kPiece = 4096;   // elements of a row that are one task's least
  static constexpr int64_t kGrain = 32768;  // elements that are worth waking a thread
  static std::byte* element(const TensorView& view, int64_t r, int64_t i) {
    return static_cast<std::byte*>(view.data) + (r * view.row_stride + i) * size_of(view.dtype);
  }
  std::string_view id_;
  PieceFunction function_;
  Piece piece_;
  std::shared_ptr<const ActivationTable> table_;
  CpuParallel& parallel_;
};

// What an op's attributes put into a piece.
void read(const Add&, DType, Piece&) {}
void read(const Scale& op, DType out, Piece& piece) { piece.factor = rounded(op.factor, out); }
void read(const SoftCap& op, DType, Piece& piece) { piece.factor = op.cap; }
void read(const Gated& op, DType, Piece& piece) { piece.activation = op.activation; }
void read(const Activate& op, DType, Piece& piece) { piece.activation = op.activation; }

template <class Op, size_t kInputs>
class Candidate final : public KernelCandidate {
 public:
  Candidate(std::string_view id, std::string_view numerics, PieceFunction PieceFunctions::*function,
            std::shared_ptr<ActivationTables> tables)
      : id_(id), numerics_(numerics), function_(function), tables_(std::move(tables)) {}
  std::string_view id() const noexcept override { return id_; }
  std::string_view device_kind() const noexcept override { return "cpu"; }
  std::vector<std::string> takes() const override { return {std::string(Op::kOp)}; }
  std::string numerics(const Problem&) const override { return std::string(numerics_); }
  std::vector<std::string> layouts(const Problem&, size_t, size_t) const override { return {}; }
  KernelConfig fallback(const Problem&) const override { return {}; }
  Verdict supports(const Problem& problem) const noexcept override {
    const auto op = from_attributes<Op>(problem.first().attributes);
    return op.ok() ? floats_only(problem, kInputs) : Verdict::no(op.status().message());
  }
  Result<std::unique_ptr<Instance>> instance(Device& device, const Problem& problem,
                                             const KernelConfig&) const override {
    TARE_ASSIGN_OR_RETURN(const Op op, from_attributes<Op>(problem.first().attributes));
    auto* parallel = static_cast<CpuParallel*>(device.query(CpuParallel::kInterface));
    if (parallel == nullptr) return Status(Code::unsupported, text(id_, ": the device has no cpu_parallel/1"));
    const ProblemOp& p = problem.first();
    Piece piece;
    read(op, p.results[0].dtype, piece);
    std::shared_ptr<const ActivationTable> table;
    if (piece.activation != Activation::none && piece.activation != Activation::relu &&
        p.inputs[0].dtype == DType::bf16 && p.results[0].dtype == DType::bf16)
      table = tables_->get(piece.activation);
    const PieceFunctions functions = piece_functions(best_cpu_target(problem.features));
    return std::unique_ptr<Instance>(
        std::make_unique<FastRows>(id_, functions.*function_, piece, std::move(table), *parallel));
  }

 private:
  std::string_view id_, numerics_;
  PieceFunction PieceFunctions::*function_;
  std::shared_ptr<ActivationTables> tables_;
};

}  // namespace

std::vector<std::unique_ptr<KernelCandidate>> fast_candidates() {
  const auto tables = std::make_shared<ActivationTables>();
  using P = PieceFunctions;
  std::vector<std::unique_ptr<KernelCandidate>> out;
  out.push_back(std::make_unique<Candidate<Add, 2>>("add.cpu", "exact", &P::add, tables));
  out.push_back(std::make_unique<Candidate<Scale, 1>>("scale.cpu", "exact", &P::scale, tables));
  out.push_back(std::make_unique<Candidate<SoftCap, 1>>("soft_cap.cpu", "f64-tanh", &P::soft_cap, tables));
  out.push_back(std::make_unique<Candidate<Gated, 2>>("gated.cpu", "exact", &P::gated, tables));
  out.push_back(std::make_unique<Candidate<Activate, 1>>("activate.cpu", "exact", &P::activate, tables));
  return out;
}

}  // namespace tare::elementwise
