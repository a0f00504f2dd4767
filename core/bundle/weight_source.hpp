// WeightSource: a checkpoint's tensors, whatever the format. Reading copies and converts into the caller's memory; the
// file is never changed and a file that shrinks under us gives a Status. Thread rule: const and [any thread].
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/api/dtype.hpp"
#include "core/api/status.hpp"

namespace tare {

// A tensor of a checkpoint. (core/api/kernel.hpp's WeightInfo is a weight as kernels see it.)
struct StoredTensor {
  std::string name;            // the checkpoint's name: "model.layers.0.self_attn.q_proj.weight"
  std::vector<int64_t> shape;  // rows first, as config.json's model has it
  // The type that it is presented in: the stored one; BF16 for quantised tensors; for a GGUF's F32 vectors beside BF16
  // or quantised matrices BF16 too. Absent: stored in a type that cannot be read, and `read` refuses.
  std::optional<DType> dtype;
  std::string stored;        // the file's word for its type: "BF16", "Q4_1"
  int64_t stored_bytes = 0;  // in the file
  std::string file;          // the file's name: "model-00001-of-00003.safetensors"
  bool expanded = false;     // quantised: `read` computes it
  bool plain = false;        // stored as presented, nothing to undo

  int64_t elements() const noexcept;  // checked at open: no overflow, nor of 8 times it
  int64_t rows() const noexcept { return shape.empty() ? 1 : shape[0]; }
  int64_t row_elements() const noexcept { return rows() == 0 ? 0 : elements() / rows(); }
  int64_t bytes() const noexcept { return dtype ? elements() * size_of(*dtype) : stored_bytes; }  // as presented
};
std::string to_string(const StoredTensor& info);  // "'lm_head.weight' BF16 [320, 64]"

// A weight that is stored as a device's layout has it in memory (serving bundles): loads by plain copies.
struct LaidOutWeight {
  std::string layout;  // Layout::id
  uint32_t version = 0;
  int32_t input_dims = 0;  // WeightInfo's
  std::string note;        // what the code said of it: LayoutPlan::note
  bool fell_back = false;  // the code did not pay: plain numbers in the layout's frame (LayoutPlan::pays)
  int64_t bytes = 0;
  // Bytes [begin, begin + out.size()) of it, checked. [any thread]
  std::function<Status(int64_t begin, std::span<std::byte> out)> read;
};

class CodedTiles;

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  const std::vector<StoredTensor>& tensors() const noexcept { return tensors_; }  // in order of name
  // Null when there is none of that name.
  const StoredTensor* find(std::string_view name) const noexcept;
  // The name nearest to `name`, for messages; empty when there is no tensor.
  std::string nearest(std::string_view name) const;

  // Rows [begin, end) of a tensor of this source as `as`, packed, into `out`, which has exactly their size.
  // Any of BF16, F16, F32 and the quantised types converts to BF16 and F32, rounding at most once; every type is given
  // as it is. Refused: a type that cannot be read or converted (named with the tensor), a file that ends too early.
  Status read(const StoredTensor& tensor, int64_t begin, int64_t end, DType as, std::span<std::byte> out) const;
  // The tensor in mapped memory where `plain` is set, else null; lives as long as the source. See File::map for what
  // the reader takes upon itself. Aligned to the element.
  virtual const std::byte* mapped(const StoredTensor& tensor) const noexcept = 0;
  // Set where the tensor is laid out; `read` then refuses it.
  virtual std::optional<LaidOutWeight> laid_out(const StoredTensor&) const { return std::nullopt; }
  // The tensor as coded tiles, whose numbers are those that read() gives in its presented type; null: it has none.
  // Valid as long as the source.
  virtual std::unique_ptr<CodedTiles> coded(const StoredTensor& tensor) const;
  // Ranges of rows that are multiples of it are read best.
  virtual int64_t row_granule(const StoredTensor&) const noexcept { return 1; }

 protected:
  WeightSource() = default;
  void set_tensors(std::vector<StoredTensor> tensors);  // sorts by name
  size_t index_of(const StoredTensor& tensor) const noexcept { return static_cast<size_t>(&tensor - tensors_.data()); }

 private:
  // The arguments have been checked; begin < end and elements > 0.
  virtual Status read_rows(const StoredTensor& tensor, int64_t begin, int64_t end, DType as,
                           std::span<std::byte> out) const = 0;
  std::vector<StoredTensor> tensors_;
};

// Bytes of all tensors as they are presented (dtype), that is after expansion.
int64_t presented_bytes(const WeightSource& source) noexcept;
int64_t stored_bytes(const WeightSource& source) noexcept;
// Refuses weights that exceed `budget_bytes` as presented, with both figures; reads nothing. `what`: the model.
Status check_budget(const WeightSource& source, std::string_view what, int64_t budget_bytes);
// Refuses weights of which some cannot be read, with the first of them by name and type; reads nothing.
Status check_readable(const WeightSource& source, std::string_view what);
// SHA-256 of a tensor's plain bytes as presented.
Result<std::string> sha256_of(const WeightSource& source, const StoredTensor& tensor);

}  // namespace tare
