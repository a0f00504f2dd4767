// NCCL, opened at run time through a table of typed symbols: sums and gathers over several GPUs. Nothing needs it on
// one GPU. Types and prototypes are those of nccl.h 2.28. The table is constant after open(): [any thread]; a
// communicator belongs to one thread.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/api/status.hpp"

namespace tare::cuda {

using NcclComm = struct NcclCommOpaque*;
using NcclResult = int;  // 0: success
struct NcclUniqueId {
  char bytes[128];
};
inline constexpr int kNcclFloat32 = 7, kNcclBf16 = 9, kNcclSum = 0;

// X(name, parameters): every call that must be there.
#define TARE_NCCL_SYMBOLS(X)                                                \
  X(ncclGetVersion, (int*))                                                 \
  X(ncclGetUniqueId, (NcclUniqueId*))                                       \
  X(ncclCommInitRank, (NcclComm*, int, NcclUniqueId, int))                  \
  X(ncclCommInitAll, (NcclComm*, int, const int*))                          \
  X(ncclCommDestroy, (NcclComm))                                            \
  X(ncclGroupStart, ())                                                     \
  X(ncclGroupEnd, ())                                                       \
  X(ncclAllReduce, (const void*, void*, size_t, int, int, NcclComm, void*)) \
  X(ncclAllGather, (const void*, void*, size_t, int, NcclComm, void*))      \
  X(ncclReduceScatter, (const void*, void*, size_t, int, int, NcclComm, void*))

class Nccl {
 public:
#define TARE_DECLARE(name, parameters) NcclResult(*name) parameters = nullptr;
  TARE_NCCL_SYMBOLS(TARE_DECLARE)
#undef TARE_DECLARE
  const char* (*ncclGetErrorString)(NcclResult) = nullptr;

  // not_found lists the places; unsupported: lacks a symbol.
  static Result<std::shared_ptr<const Nccl>> open(const std::vector<std::string>& folders);
  const std::string& found_at() const noexcept { return path_; }
  std::string version_text() const;  // "2.28.9"
  Status check(NcclResult result, const char* call) const;

 private:
  std::string path_;
  int version_ = 0;
};

}  // namespace tare::cuda
