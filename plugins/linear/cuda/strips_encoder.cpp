#include "plugins/linear/cuda/strips_encoder.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "jit/cuda_launch.hpp"
#include "plugins/linear/cuda/arguments.hpp"
#include "plugins/linear/cuda/expression.hpp"
#include "plugins/linear/cuda/pack_host.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda {
namespace {

class StripsEncoder final : public DeviceEncoder {
 public:
  StripsEncoder(jit::Jit& jit, Device& device, jit::CudaLaunch& launcher, WeightCode densest)
      : jit_(jit), device_(device), launcher_(launcher), densest_(densest) {}

  Result<Encoded> encode(Stream& stream, const WeightInfo& weight, const void* plain, std::string_view label) override {
    if (Verdict v = fits_records(weight); !v) return failure(Code::unsupported, weight.name, ": ", v.reason);
    TARE_ASSIGN_OR_RETURN(const StripsHead head, plan(stream, weight, plain));
    Encoded out;
    out.pays = densest_ == WeightCode::kDense || head.code != static_cast<int32_t>(WeightCode::kDense);
    const auto bits =
        std::lround(800 * static_cast<double>(head.bytes) / static_cast<double>(int64_t{head.rows} * head.columns));
    constexpr std::string_view names[] = {"dense, ", "w12, ", "w11, "};
    out.note = text(names[static_cast<size_t>(head.code)], bits / 100, ".", bits / 10 % 10, bits % 10, " bits a weight",
                    out.pays ? "" : ": no code pays");
    TARE_ASSIGN_OR_RETURN(out.buffer, device_.allocate(static_cast<size_t>(head.bytes), Purpose::weights, label));
    auto* const base = static_cast<uint8_t*>(out.buffer->data());
    const int64_t end = head.overflow_at + head.overflow_entries * 4;
    if (head.bytes > end)
      TARE_RETURN_IF_ERROR(device_.fill(stream, base + end, 0, static_cast<size_t>(head.bytes - end)));
    TARE_RETURN_IF_ERROR(pack(stream, head, plain, base, static_cast<uint32_t>(head.overflow_entries)));
    TARE_RETURN_IF_ERROR(device_.copy_in(stream, base, &head, sizeof head));
    TARE_RETURN_IF_ERROR(stream.synchronize());  // `head` ends here, and `plain` may be written again
    return out;
  }

 private:
  // What the matrix will be: in the densest code that pays.
  Result<StripsHead> plan(Stream& stream, const WeightInfo& weight, const void* plain) {
    const RecordOrder order = order_of(weight);
    if (densest_ != WeightCode::kDense) {
      TARE_ASSIGN_OR_RETURN(const auto counts, histogram(stream, plain, order.records() * kRecordWeights));
      for (const WeightCode code : {WeightCode::kW11, WeightCode::kW12}) {
        if (code > densest_ || counts[255] > 0) continue;  // the denser, the larger
        TARE_ASSIGN_OR_RETURN(const auto head, coded(stream, weight, plain, code, counts));
        if (head) return *head;
      }
    }
    return strips_head(WeightCode::kDense, order, leaves_of(weight), 1, 0, 0);
  }
  // Counts escapes by packing into scratch, with longer headers until they hold enough; nothing: the code does not pay.
  Result<std::optional<StripsHead>> coded(Stream& stream, const WeightInfo& weight, const void* plain, WeightCode code,
                                          const std::array<uint64_t, 256>& counts) {
    const RecordOrder order = order_of(weight);
    const WindowChoice window = choose_window(counts, window_of(code));
    if (static_cast<double>(window.outside) >
        most_escapes(code) * static_cast<double>(order.records() * kRecordWeights))
      return std::optional<StripsHead>();
    const auto capacity = static_cast<uint32_t>(std::min<uint64_t>(window.outside, (uint64_t{1} << 24) - 1));
    for (int32_t blocks = first_header_blocks(code);;) {
      const StripsHead tried = strips_head(code, order, leaves_of(weight), blocks, window.base, capacity);
      TARE_RETURN_IF_ERROR(room(scratch_, tried.bytes));
      TARE_RETURN_IF_ERROR(pack(stream, tried, plain, static_cast<uint8_t*>(scratch_->data()), capacity));
      uint32_t found[2] = {};
      TARE_RETURN_IF_ERROR(device_.copy_out(stream, found, counters_->data(), sizeof found));
      TARE_RETURN_IF_ERROR(stream.synchronize());
      const int32_t better = found[1] > 0 ? 0 : choose_header_blocks(blocks, found[0], order.records(), code);
      if (better == 0) return std::optional<StripsHead>();
      if (better == blocks)
        return std::optional<StripsHead>(strips_head(code, order, leaves_of(weight), blocks, window.base, found[0]));
      blocks = better;
    }
  }

  Status pack(Stream& stream, const StripsHead& head, const void* plain, uint8_t* to, uint32_t capacity) {
    const auto code = static_cast<WeightCode>(head.code);
    TARE_ASSIGN_OR_RETURN(const auto kernel,
                          load(pack_expression({code, code == WeightCode::kDense ? 1 : head.header_blocks})));
    TARE_RETURN_IF_ERROR(room(counters_, 256 * 8));
    TARE_RETURN_IF_ERROR(device_.fill(stream, counters_->data(), 0, 8));
    PackArguments a{.plain = static_cast<uint16_t*>(const_cast<void*>(plain)),
                    .payload = to + head.payload_at,
                    .headers = code == WeightCode::kDense ? nullptr : to + head.headers_at,
                    .overflow = reinterpret_cast<uint32_t*>(to + head.overflow_at),
                    .counters = static_cast<uint32_t*>(counters_->data()),
                    .rows = head.rows,
                    .columns = head.columns,
                    .strips_per_block = head.strips_per_block,
                    .base = head.base,
                    .overflow_capacity = capacity};
    void* arguments[] = {&a};
    return launcher_.launch(stream, *kernel, wide(), arguments);
  }
  Result<std::array<uint64_t, 256>> histogram(Stream& stream, const void* plain, int64_t count) {
    TARE_ASSIGN_OR_RETURN(const auto kernel, load("tare::linear_cuda::exponent_histogram"));
    std::array<uint64_t, 256> counts{};
    TARE_RETURN_IF_ERROR(room(counters_, sizeof counts));
    TARE_RETURN_IF_ERROR(device_.fill(stream, counters_->data(), 0, sizeof counts));
    void* address = counters_->data();
    void* arguments[] = {&plain, &count, &address};
    TARE_RETURN_IF_ERROR(launcher_.launch(stream, *kernel, wide(), arguments));
    TARE_RETURN_IF_ERROR(device_.copy_out(stream, counts.data(), address, sizeof counts));
    TARE_RETURN_IF_ERROR(stream.synchronize());
    return counts;
  }
  Result<std::shared_ptr<jit::CudaKernel>> load(const std::string& expression) {
    TARE_ASSIGN_OR_RETURN(const auto compiled, jit_.compile({"plugins/linear/cuda/pack.cuh", expression,
                                                             std::string(launcher_.architecture())}));
    TARE_ASSIGN_OR_RETURN(auto kernel, launcher_.load(*compiled, 0));
    if (std::ranges::find(kept_, kernel) == kept_.end()) kept_.push_back(kernel);  // loaded from matrix to matrix
    return kernel;
  }
  Status room(std::unique_ptr<Buffer>& buffer, int64_t bytes) {
    if (buffer != nullptr && static_cast<int64_t>(buffer->bytes()) >= bytes) return {};
    buffer.reset();
    TARE_ASSIGN_OR_RETURN(buffer, device_.allocate(static_cast<size_t>(bytes), Purpose::staging, "linear/packer"));
    return {};
  }
  jit::LaunchShape wide() const {
    return {.grid_x = static_cast<uint32_t>(launcher_.multiprocessors()) * 8, .threads = 256};
  }

  jit::Jit& jit_;
  Device& device_;
  jit::CudaLaunch& launcher_;
  const WeightCode densest_;
  std::unique_ptr<Buffer> scratch_, counters_;
  std::vector<std::shared_ptr<jit::CudaKernel>> kept_;
};

}  // namespace

Result<std::unique_ptr<DeviceEncoder>> make_strips_encoder(jit::Jit& jit, Device& device, WeightCode densest) {
  auto* launcher = static_cast<jit::CudaLaunch*>(device.query(jit::CudaLaunch::kInterface));
  if (launcher == nullptr) return std::unique_ptr<DeviceEncoder>();
  return std::unique_ptr<DeviceEncoder>(std::make_unique<StripsEncoder>(jit, device, *launcher, densest));
}

}  // namespace tare::linear_cuda
