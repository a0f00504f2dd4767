#include "core/runtime/step_arrays.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tare {
namespace {

constexpr size_t kAlignment = 16;
size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// Tables grow as sequences do; strides in powers of two keep most steps at one shape.
int64_t device_stride(int64_t stride) { return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(stride))); }

}  // namespace

Result<std::unique_ptr<StepArrays>> StepArrays::create(Device& device, int64_t entries, std::string label) {
  auto out = std::unique_ptr<StepArrays>(new StepArrays(device, std::move(label)));
  TARE_RETURN_IF_ERROR(out->reserve(static_cast<size_t>(entries) * sizeof(int32_t)));
  return out;
}

Status StepArrays::reserve(size_t bytes) {
  if (on_device_ != nullptr && on_device_->bytes() >= bytes) return {};
  on_device_.reset(), pinned_.reset();
  ++generation_;
  TARE_ASSIGN_OR_RETURN(on_device_, device_.allocate(bytes, Purpose::workspace, label_));
  if (auto* memory = static_cast<PinnedMemory*>(device_.query(PinnedMemory::kInterface))) {
    TARE_ASSIGN_OR_RETURN(pinned_, memory->allocate_pinned(bytes));
  } else {
    pageable_.resize(bytes);
  }
  return {};
}

Result<StepShape> StepArrays::upload(Stream& stream, const StepInput& step, StepView& view,
                                     std::vector<PageTable>& tables) {
  StepShape shape{step.num_tokens(), step.num_sequences(), step.num_logit_rows(), {}};
  const std::vector<int32_t>* const arrays[] = {&step.token_ids, &step.positions, &step.sequence_begin,
                                                &step.context_lengths, &step.logit_row_tokens};
  const int32_t** const pointers[] = {&view.token_ids, &view.positions, &view.sequence_begin, &view.context_lengths,
                                      &view.logit_row_tokens};
  size_t bytes = 0;
  for (const auto* array : arrays) bytes += aligned(array->size() * sizeof(int32_t));
  for (const PageTableInput& table : step.page_tables) {
    shape.strides.push_back(device_stride(table.stride));
    bytes += aligned(static_cast<size_t>(shape.sequences * shape.strides.back()) * sizeof(int32_t));
  }
  TARE_RETURN_IF_ERROR(reserve(bytes));
  std::byte* const host = pinned_ != nullptr ? static_cast<std::byte*>(pinned_->data()) : pageable_.data();
  const auto* const base = static_cast<const std::byte*>(on_device_->data());
  size_t at = 0;
  const auto place = [&](size_t count) {
    const size_t here = at;
    at += aligned(count * sizeof(int32_t));
    return here;
  };
  for (size_t i = 0; i < std::size(arrays); ++i) {
    const size_t here = place(arrays[i]->size());
    if (!arrays[i]->empty()) std::memcpy(host + here, arrays[i]->data(), arrays[i]->size() * sizeof(int32_t));
    *pointers[i] = reinterpret_cast<const int32_t*>(base + here);
  }
  for (size_t g = 0; g < tables.size(); ++g) {
    const PageTableInput& table = step.page_tables[g];
    const size_t here = place(static_cast<size_t>(shape.sequences * shape.strides[g]));
    auto* const rows = reinterpret_cast<int32_t*>(host + here);
    for (int64_t s = 0; s < shape.sequences; ++s) {
      int32_t* const row = rows + s * shape.strides[g];
      std::copy_n(table.pages.data() + s * table.stride, table.stride, row);
      std::fill(row + table.stride, row + shape.strides[g], -1);
    }
    tables[g] = {.pages = reinterpret_cast<const int32_t*>(base + here), .stride = shape.strides[g]};
  }
  TARE_RETURN_IF_ERROR(device_.copy_in(stream, on_device_->data(), host, at));
  if (pinned_ == nullptr) TARE_RETURN_IF_ERROR(stream.synchronize());
  return shape;
}

}  // namespace tare
