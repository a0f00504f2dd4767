#include "plugins/device_cuda/vendor_gemm.hpp"

#include <dlfcn.h>

#include <map>
#include <tuple>

#include "plugins/device_cuda/library.hpp"

namespace tare::cuda {
namespace {

// The few prototypes and constants of cublas_v2.h and cublasLt.h (CUDA 13.0) that we use.
using Handle = struct BlasOpaque*;
using LtHandle = struct LtOpaque*;
using LtDescriptor = struct LtDescriptorOpaque*;
using LtLayout = struct LtLayoutOpaque*;
using LtPreference = struct LtPreferenceOpaque*;
struct LtAlgorithm {
  uint64_t data[8];
};
struct LtHeuristic {
  LtAlgorithm algorithm;
  size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(LtHeuristic) == 96, "cublasLtMatmulHeuristicResult_t has 96 bytes");
constexpr int kBf16 = 14, kF32 = 0, kCompute32 = 68, kTransposed = 1, kPlain = 0, kDefaultAlgorithm = 99;
constexpr int kDescTransA = 3, kDescTransB = 4, kPrefWorkspace = 1;

#define TARE_BLAS_SYMBOLS(X)                                                                                   \
  X(cublasCreate_v2, (Handle*))                                                                                \
  X(cublasDestroy_v2, (Handle))                                                                                \
  X(cublasSetStream_v2, (Handle, void*))                                                                       \
  X(cublasSetWorkspace_v2, (Handle, void*, size_t))                                                            \
  X(cublasGemmEx, (Handle, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int, \
                   const void*, void*, int, int, int, int))
#define TARE_LT_SYMBOLS(X)                                                                                           \
  X(cublasLtCreate, (LtHandle*))                                                                                     \
  X(cublasLtDestroy, (LtHandle))                                                                                     \
  X(cublasLtMatmulDescCreate, (LtDescriptor*, int, int))                                                             \
  X(cublasLtMatmulDescSetAttribute, (LtDescriptor, int, const void*, size_t))                                        \
  X(cublasLtMatrixLayoutCreate, (LtLayout*, int, uint64_t, uint64_t, int64_t))                                       \
  X(cublasLtMatmulPreferenceCreate, (LtPreference*))                                                                 \
  X(cublasLtMatmulPreferenceSetAttribute, (LtPreference, int, const void*, size_t))                                  \
  X(cublasLtMatmulAlgoGetHeuristic,                                                                                  \
    (LtHandle, LtDescriptor, LtLayout, LtLayout, LtLayout, LtLayout, LtPreference, int, LtHeuristic*, int*))         \
  X(cublasLtMatmul, (LtHandle, LtDescriptor, const void*, const void*, LtLayout, const void*, LtLayout, const void*, \
                     const void*, LtLayout, void*, LtLayout, const LtAlgorithm*, void*, size_t, void*))

struct Table {
#define TARE_DECLARE(name, parameters) int(*name) parameters = nullptr;
  TARE_BLAS_SYMBOLS(TARE_DECLARE)
  TARE_LT_SYMBOLS(TARE_DECLARE)
#undef TARE_DECLARE
};

Status check(int status, const char* call) {
  return status == 0 ? Status() : failure(Code::internal, call, " failed with status ", status);
}

// What cuBLASLt knows about one shape; lives as long as the process's baseline does.
struct Prepared {
  LtDescriptor descriptor = nullptr;
  LtLayout a = nullptr, b = nullptr, c = nullptr;
  std::vector<LtAlgorithm> algorithms;
};

class Opened final : public VendorGemm {
 public:
  Opened(Table table, std::string path, void* workspace, size_t bytes)
      : t_(table), path_(std::move(path)), workspace_(workspace), workspace_bytes_(bytes) {}
  ~Opened() override {
    if (blas_ != nullptr) t_.cublasDestroy_v2(blas_);
    if (lt_ != nullptr) t_.cublasLtDestroy(lt_);
  }
  Status start() {
    TARE_RETURN_IF_ERROR(check(t_.cublasCreate_v2(&blas_), "cublasCreate"));
    return check(t_.cublasLtCreate(&lt_), "cublasLtCreate");
  }

  Result<int> prepare(const GemmShape& s, int most) override {
    Prepared& p = prepared_[{s.tokens, s.rows, s.columns}];
    if (p.descriptor == nullptr) {
      const auto m = static_cast<uint64_t>(s.tokens), n = static_cast<uint64_t>(s.rows),
                 k = static_cast<uint64_t>(s.columns);
      TARE_RETURN_IF_ERROR(
          check(t_.cublasLtMatmulDescCreate(&p.descriptor, kCompute32, kF32), "cublasLtMatmulDescCreate"));
      const int a = kTransposed, b = kPlain;
      TARE_RETURN_IF_ERROR(check(t_.cublasLtMatmulDescSetAttribute(p.descriptor, kDescTransA, &a, sizeof a),
                                 "cublasLtMatmulDescSetAttribute"));
      TARE_RETURN_IF_ERROR(check(t_.cublasLtMatmulDescSetAttribute(p.descriptor, kDescTransB, &b, sizeof b),
                                 "cublasLtMatmulDescSetAttribute"));
      // Column-major views: weights are [K, N] transposed, activations [K, M], output [N, M].
      TARE_RETURN_IF_ERROR(
          check(t_.cublasLtMatrixLayoutCreate(&p.a, kBf16, k, n, s.columns), "cublasLtMatrixLayoutCreate"));
      TARE_RETURN_IF_ERROR(
          check(t_.cublasLtMatrixLayoutCreate(&p.b, kBf16, k, m, s.columns), "cublasLtMatrixLayoutCreate"));
      TARE_RETURN_IF_ERROR(
          check(t_.cublasLtMatrixLayoutCreate(&p.c, kBf16, n, m, s.rows), "cublasLtMatrixLayoutCreate"));
      LtPreference preference = nullptr;
      TARE_RETURN_IF_ERROR(check(t_.cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate"));
      TARE_RETURN_IF_ERROR(check(t_.cublasLtMatmulPreferenceSetAttribute(preference, kPrefWorkspace, &workspace_bytes_,
                                                                         sizeof workspace_bytes_),
                                 "cublasLtMatmulPreferenceSetAttribute"));
      std::vector<LtHeuristic> found(static_cast<size_t>(most));
      int count = 0;
      TARE_RETURN_IF_ERROR(check(t_.cublasLtMatmulAlgoGetHeuristic(lt_, p.descriptor, p.a, p.b, p.c, p.c, preference,
                                                                   most, found.data(), &count),
                                 "cublasLtMatmulAlgoGetHeuristic"));
      for (int i = 0; i < count; ++i) p.algorithms.push_back(found[static_cast<size_t>(i)].algorithm);
    }
    return static_cast<int>(p.algorithms.size()) + 1;
  }

  Status run(const GemmShape& s, int which, void* stream, const void* weights, const void* activations,
             void* output) override {
    const float one = 1.0f, zero = 0.0f;
    if (which == 0) {
      TARE_RETURN_IF_ERROR(check(t_.cublasSetStream_v2(blas_, stream), "cublasSetStream"));
      TARE_RETURN_IF_ERROR(check(t_.cublasSetWorkspace_v2(blas_, workspace_, workspace_bytes_), "cublasSetWorkspace"));
      return check(
          t_.cublasGemmEx(blas_, kTransposed, kPlain, s.rows, s.tokens, s.columns, &one, weights, kBf16, s.columns,
                          activations, kBf16, s.columns, &zero, output, kBf16, s.rows, kCompute32, kDefaultAlgorithm),
          "cublasGemmEx");
    }
    const auto found = prepared_.find({s.tokens, s.rows, s.columns});
    if (found == prepared_.end() || which > static_cast<int>(found->second.algorithms.size())) {
      return failure(Code::internal, "way ", which, " of this shape was not prepared");
    }
    const Prepared& p = found->second;
    return check(
        t_.cublasLtMatmul(lt_, p.descriptor, &one, weights, p.a, activations, p.b, &zero, output, p.c, output, p.c,
                          &p.algorithms[static_cast<size_t>(which - 1)], workspace_, workspace_bytes_, stream),
        "cublasLtMatmul");
  }
  const std::string& found_at() const noexcept override { return path_; }

 private:
  const Table t_;
  const std::string path_;
  void* const workspace_;
  const size_t workspace_bytes_;
  Handle blas_ = nullptr;
  LtHandle lt_ = nullptr;
  std::map<std::tuple<int, int, int>, Prepared> prepared_;
};

}  // namespace

Result<std::unique_ptr<VendorGemm>> VendorGemm::open(const std::vector<std::string>& folders, void* workspace,
                                                     size_t workspace_bytes) {
  // cublasLt first, since cublas needs it.
  TARE_ASSIGN_OR_RETURN(const OpenedLibrary lt, open_library(folders, "libcublasLt.so.13"));
  TARE_ASSIGN_OR_RETURN(const OpenedLibrary blas, open_library(folders, "libcublas.so.13"));
  Table table;
#define TARE_RESOLVE_IN(library, name)                                               \
  table.name = reinterpret_cast<decltype(table.name)>(dlsym(library.handle, #name)); \
  if (table.name == nullptr) return failure(Code::unsupported, library.path, " lacks " #name);
#define TARE_RESOLVE_BLAS(name, parameters) TARE_RESOLVE_IN(blas, name)
#define TARE_RESOLVE_LT(name, parameters) TARE_RESOLVE_IN(lt, name)
  TARE_BLAS_SYMBOLS(TARE_RESOLVE_BLAS)
  TARE_LT_SYMBOLS(TARE_RESOLVE_LT)
  auto out = std::make_unique<Opened>(table, blas.path, workspace, workspace_bytes);
  TARE_RETURN_IF_ERROR(out->start());
  return std::unique_ptr<VendorGemm>(std::move(out));
}

}  // namespace tare::cuda
