// TensorView: where a tensor's numbers lie, for kernels. And Match: checks views by pattern, with names. [any thread]
#pragma once
#include <array>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/api/dtype.hpp"
#include "core/api/status.hpp"

namespace tare {

// Rows of contiguous elements; consecutive rows may lie `row_stride` elements apart. Owns nothing; the memory belongs
// to a device and outlives the launch that it is handed to.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::f32;
  uint8_t rank = 0;
  std::array<int64_t, 4> sizes{1, 1, 1, 1};  // sizes[0]: rows
  int64_t row_stride = 0;                    // elements from one row to the next

  int64_t rows() const noexcept { return rank == 0 ? 1 : sizes[0]; }
  int64_t row_elements() const noexcept {
    int64_t count = 1;
    for (uint8_t i = 1; i < rank; ++i) count *= sizes[i];
    return count;
  }
  int64_t elements() const noexcept { return rows() * row_elements(); }
  template <class T>
  T* row(int64_t r) const noexcept {
    return static_cast<T*>(data) + r * row_stride;
  }
};
// A packed view: row_stride is the row's own length.
inline TensorView packed_view(void* data, DType dtype, std::initializer_list<int64_t> sizes) noexcept {
  TensorView view{.data = data, .dtype = dtype, .rank = 0, .sizes = {1, 1, 1, 1}, .row_stride = 0};
  for (int64_t size : sizes)
    if (view.rank < 4) view.sizes[view.rank++] = size;
  view.row_stride = view.row_elements();
  return view;
}
inline std::string to_string(const TensorView& view) {
  std::string out = text(name(view.dtype), " [");
  for (uint8_t i = 0; i < view.rank; ++i) out += text(i != 0 ? ", " : "", view.sizes[i]);
  return out + "]";
}

// Sizes bind to names at first sight and must agree afterwards, so the check is the documentation:
//   Match m; m.view("q", q, {"tokens", "heads", "head_dim"}); m.view("k", k, {"tokens", "kv_heads", "head_dim"});
//   TARE_RETURN_IF_ERROR(m.status());
class Match {
 public:
  Match& view(std::string_view what, const TensorView& view, std::initializer_list<std::string_view> dims) {
    if (!status_.ok()) return *this;
    if (view.rank != dims.size()) {
      status_ = invalid(what, " has ", int(view.rank), " dimensions (", to_string(view), "), expected ", dims.size());
      return *this;
    }
    size_t i = 0;
    for (std::string_view dim : dims) {
      const auto [at, fresh] = sizes_.try_emplace(std::string(dim), view.sizes[i]);
      if (!fresh && at->second != view.sizes[i] && status_.ok())
        status_ = invalid(what, " has ", dim, " = ", view.sizes[i], ", expected ", at->second);
      ++i;
    }
    return *this;
  }
  Match& dtype(std::string_view what, const TensorView& view, std::initializer_list<DType> allowed) {
    std::string wanted;
    for (DType d : allowed) {
      if (view.dtype == d) return *this;
      wanted += text(wanted.empty() ? "" : " or ", name(d));
    }
    if (status_.ok()) status_ = invalid(what, " is ", name(view.dtype), ", expected ", wanted);
    return *this;
  }
  int64_t size(std::string_view dim) const {
    const auto at = sizes_.find(std::string(dim));
    return at == sizes_.end() ? 0 : at->second;
  }
  const Status& status() const noexcept { return status_; }

 private:
  std::map<std::string, int64_t> sizes_;
  Status status_;
};

}  // namespace tare
