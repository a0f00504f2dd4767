#include "core/app/verify_serving.hpp"

#include <algorithm>
#include <cstring>

#include "core/app/checkpoint_weights.hpp"
#include "core/base/printable.hpp"
#include "core/base/progress.hpp"
#include "core/base/sha256.hpp"
#include "core/bundle/checkpoint.hpp"
#include "core/bundle/tare_bundle.hpp"
#include "core/runtime/staging.hpp"

namespace tare {
namespace {

constexpr int64_t kBandBytes = 64 << 20;  // decoded at once

struct LaidWeight {
  WeightDecl decl;
  WeightInfo info;
};
LaidWeight weight_of(const StoredTensor& tensor, const LaidOutWeight& laid) {
  LaidWeight out;
  for (const int64_t size : tensor.shape) out.info.shape.push_back(Dim{size});
  out.info.name = tensor.name, out.info.dtype = *tensor.dtype, out.info.input_dims = laid.input_dims;
  out.decl.name = tensor.name, out.decl.input_dims = laid.input_dims;
  out.decl.shape = out.decl.whole = out.info.shape;
  return out;
}

Status differs(const LaidWeight& w, const std::string& against, int64_t number) {
  return failure(Code::corrupt, "tensor '", printable(w.info.name, 120), "' differs from ", printable(against, 400),
                 " in row ", number / w.info.inputs(), ", column ", number % w.info.inputs());
}

// Rows in bands, each decoded by all threads; hashed, and compared with what `other` (may be null) has.
Status verify_weight(const LaidWeight& w, const DecodedWeight& decoded, const CheckpointWeights* other,
                     const VerifyOptions& options, CpuParallel& threads, std::string* sha, Progress& progress) {
  const int64_t row_bytes = w.info.inputs() * size_of(w.info.dtype), rows = w.info.outputs();
  const int64_t granule = decoded.row_granule(w.decl, w.info);
  const auto rows_of = [&](int64_t bytes) {
    return std::max<int64_t>(1, bytes / std::max<int64_t>(1, row_bytes) / granule) * granule;
  };
  const int64_t band = rows_of(kBandBytes), step = rows_of(1 << 20);
  if (other != nullptr) TARE_RETURN_IF_ERROR(other->check(w.decl));
  Sha256 hash;
  std::vector<std::byte> ours;
  for (int64_t begin = 0; begin < rows; begin += band) {
    const int64_t end = std::min(rows, begin + band);
    ours.resize(static_cast<size_t>((end - begin) * row_bytes));
    const auto piece = [&](int64_t i) -> Status {
      if (options.stop && options.stop()) return failure(Code::cancelled, "was interrupted");
      const int64_t from = begin + i * step, to = std::min(end, from + step);
      std::byte* const at = ours.data() + (from - begin) * row_bytes;
      TARE_RETURN_IF_ERROR(decoded.read(w.decl, w.info, from, to, at));
      progress.advance((to - from) * row_bytes);
      if (other == nullptr) return {};
      std::vector<std::byte> theirs(static_cast<size_t>((to - from) * row_bytes));
      TARE_RETURN_IF_ERROR(other->read(w.decl, w.info, from, to, theirs.data()));
      const auto here = std::mismatch(theirs.begin(), theirs.end(), at).first;
      return here == theirs.end() ? Status()
                                  : differs(w, options.against,
                                            from * w.info.inputs() + (here - theirs.begin()) / size_of(w.info.dtype));
    };
    TARE_RETURN_IF_ERROR(over_workers((end - begin + step - 1) / step, &threads, piece));
    hash.add(ours);
  }
  *sha = hash.finish();
  return {};
}

}  // namespace

Status verify_laid_out(const Host& host, const std::string& path, const VerifyOptions& options, int64_t* num_weights) {
  TARE_ASSIGN_OR_RETURN(const auto bundle, TareBundle::open(path));
  TARE_ASSIGN_OR_RETURN(const Checkpoint checkpoint, open_tare(path, {}));
  *num_weights = static_cast<int64_t>(checkpoint.layouts.size());
  if (*num_weights == 0) return {};
  std::unique_ptr<WeightSource> others;
  if (!options.against.empty()) {
    TARE_ASSIGN_OR_RETURN(Checkpoint against, open_checkpoint(options.against, host.families(), {}));
    others = std::move(against.weights);
  }
  const auto other = others != nullptr ? std::make_unique<CheckpointWeights>(*others) : nullptr;
  const auto threads = make_host_threads(options.threads);
  int64_t total = 0;
  for (const TareTensor& t : bundle->directory().tensors) total += t.bytes;
  Progress progress("decoding", total, options.show_progress && Progress::stderr_is_terminal());
  for (const TareTensor& t : bundle->directory().tensors) {
    const StoredTensor* tensor = checkpoint.weights->find(t.name);
    const auto laid = tensor != nullptr ? checkpoint.weights->laid_out(*tensor) : std::nullopt;
    if (!laid) continue;
    if (!tensor->dtype)
      return failure(Code::unsupported, path, ": tensor ", to_string(*tensor), " is of a type that cannot be read");
    const LaidWeight weight = weight_of(*tensor, *laid);
    auto decoded = DecodedWeight::open(weight.info, *laid, host.registry(), threads.get());
    if (!decoded.ok()) return std::move(decoded).status().in(path);
    std::string sha;
    TARE_RETURN_IF_ERROR(verify_weight(weight, **decoded, other.get(), options, *threads, &sha, progress).in(path));
    if (sha != to_hex(t.sha))
      return failure(Code::corrupt, bundle->name_of(t), " is damaged: it decodes to another SHA-256");
  }
  return {};
}

}  // namespace tare
