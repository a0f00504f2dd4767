#include "plugins/linear/cuda/pack_host.hpp"

#include <algorithm>

#include "plugins/linear/cuda/expression.hpp"
#include "plugins/linear/cuda/product.hpp"

namespace tare::linear_cuda {

WindowChoice choose_window(const std::array<uint64_t, 256>& histogram, int window) {
  uint64_t total = 0;
  for (const uint64_t count : histogram) total += count;
  WindowChoice best{1, total};
  // Exponent 0 (zeros and subnormals) and 255 (infinities) cannot be in a window: their code would decode to other
  // numbers.
  for (int base = 1; base + window <= 255; ++base) {
    uint64_t inside = 0;
    for (int e = base; e < base + window; ++e) inside += histogram[static_cast<size_t>(e)];
    if (total - inside <= best.outside) best = {base, total - inside};
  }
  return best;
}

int32_t choose_header_blocks(int32_t tried, uint32_t overflow, int64_t records, WeightCode code) {
  if (code == WeightCode::kW11) return int64_t{overflow} <= 3 * records ? tried : 0;
  if (int64_t{overflow} * 16 <= records) return tried;
  return tried < 4 ? tried * 2 : 0;
}

namespace {

Result<std::shared_ptr<jit::CudaKernel>> kernel(const Toolbox& tools, std::string expression) {
  TARE_ASSIGN_OR_RETURN(const auto compiled, tools.jit.compile({"plugins/linear/cuda/pack.cuh", std::move(expression),
                                                                std::string(tools.launcher.architecture())}));
  return tools.launcher.load(*compiled, 0);
}

jit::LaunchShape wide(const Toolbox& tools) {
  return {.grid_x = static_cast<uint32_t>(tools.launcher.multiprocessors()) * 8, .threads = 256};
}

Result<std::unique_ptr<Buffer>> zeroed(const Toolbox& tools, Stream& stream, size_t bytes) {
  TARE_ASSIGN_OR_RETURN(auto buffer, tools.device.allocate(bytes, Purpose::staging, "linear/packer"));
  TARE_RETURN_IF_ERROR(tools.device.fill(stream, buffer->data(), 0, bytes));
  return buffer;
}

Result<WindowChoice> measure_window(const Toolbox& tools, Stream& stream, const uint16_t* plain, int64_t count,
                                    int window) {
  TARE_ASSIGN_OR_RETURN(const auto histogram, kernel(tools, "tare::linear_cuda::exponent_histogram"));
  TARE_ASSIGN_OR_RETURN(const auto counters, zeroed(tools, stream, 256 * sizeof(uint64_t)));
  void* address = counters->data();
  void* arguments[] = {&plain, &count, &address};
  TARE_RETURN_IF_ERROR(tools.launcher.launch(stream, *histogram, wide(tools), arguments));
  std::array<uint64_t, 256> counts{};
  TARE_RETURN_IF_ERROR(tools.device.copy_out(stream, counts.data(), address, sizeof counts));
  TARE_RETURN_IF_ERROR(stream.synchronize());
  return choose_window(counts, window);
}

}  // namespace

Result<ResidentMatrix> pack_matrix(const Toolbox& tools, Stream& stream, const uint16_t* plain, RecordOrder order,
                                   int32_t leaves, WeightCode code, std::string_view name) {
  if (order.rows <= 0 || order.columns <= 0 || order.strips_per_block <= 0 || order.columns % kChunkColumns != 0 ||
      order.rows % (kStripRows * order.strips_per_block) != 0) {
    return invalid(name, " is ", order.rows, " x ", order.columns, ": the CUDA layouts need rows in multiples of ",
                   kStripRows * order.strips_per_block, " and columns in multiples of ", kChunkColumns);
  }
  ResidentMatrix out;
  out.shape = {code, first_header_blocks(code), order, leaves, 0};
  // What a matrix gets that its code cannot hold.
  auto other_code = [&] {
    return pack_matrix(tools, stream, plain, order, leaves,
                       code == WeightCode::kW11 ? WeightCode::kW12 : WeightCode::kDense, name);
  };
  const int64_t records = order.records();
  uint32_t capacity = 0;
  if (code != WeightCode::kDense) {
    TARE_ASSIGN_OR_RETURN(const WindowChoice window,
                          measure_window(tools, stream, plain, records * kRecordWeights, window_of(code)));
    out.shape.base = window.base;
    // Past 1 % (w12) or 3 % (w11) of escapes longer headers would eat the gain.
    const uint64_t percent = code == WeightCode::kW11 ? 3 : 1;
    if (window.outside * 100 > static_cast<uint64_t>(records) * kRecordWeights * percent) return other_code();
    capacity = static_cast<uint32_t>(std::min<uint64_t>(window.outside, (uint64_t{1} << 24) - 1));
  }
  const auto bytes_of = [&](int per_record) { return static_cast<size_t>(records) * static_cast<size_t>(per_record); };
  while (true) {
    const MatrixShape& s = out.shape;
    out.payload.reset(), out.headers.reset(), out.overflow.reset();
    TARE_ASSIGN_OR_RETURN(out.payload, tools.device.allocate(bytes_of(payload_bytes(s.code)), Purpose::weights, name));
    if (s.code != WeightCode::kDense) {
      TARE_ASSIGN_OR_RETURN(
          out.headers, tools.device.allocate(bytes_of(header_bytes(s.code, s.header_blocks)), Purpose::weights, name));
      TARE_ASSIGN_OR_RETURN(out.overflow,
                            tools.device.allocate(std::max<size_t>(capacity, 1) * 4, Purpose::weights, name));
    }
    TARE_ASSIGN_OR_RETURN(const auto packer, kernel(tools, pack_expression({s.code, s.header_blocks})));
    TARE_ASSIGN_OR_RETURN(const auto counters, zeroed(tools, stream, 2 * sizeof(uint32_t)));
    PackArguments a{.plain = const_cast<uint16_t*>(plain),
                    .payload = static_cast<uint8_t*>(out.payload->data()),
                    .headers = out.headers ? static_cast<uint8_t*>(out.headers->data()) : nullptr,
                    .overflow = out.overflow ? static_cast<uint32_t*>(out.overflow->data()) : nullptr,
                    .counters = static_cast<uint32_t*>(counters->data()),
                    .rows = order.rows,
                    .columns = order.columns,
                    .strips_per_block = order.strips_per_block,
                    .base = s.base,
                    .overflow_capacity = capacity};
    void* arguments[] = {&a};
    TARE_RETURN_IF_ERROR(tools.launcher.launch(stream, *packer, wide(tools), arguments));
    uint32_t counts[2] = {};
    TARE_RETURN_IF_ERROR(tools.device.copy_out(stream, counts, counters->data(), sizeof counts));
    TARE_RETURN_IF_ERROR(stream.synchronize());
    if (s.code == WeightCode::kDense) return out;
    const int32_t blocks = counts[1] > 0 ? 0 : choose_header_blocks(s.header_blocks, counts[0], records, s.code);
    if (blocks == s.header_blocks) {
      out.overflow_entries = counts[0];
      if (counts[0] < capacity) {  // keep only what is used
        TARE_ASSIGN_OR_RETURN(auto exact,
                              tools.device.allocate(std::max<size_t>(counts[0], 1) * 4, Purpose::weights, name));
        std::vector<uint32_t> entries(std::max<uint32_t>(counts[0], 1));
        TARE_RETURN_IF_ERROR(tools.device.copy_out(stream, entries.data(), out.overflow->data(), counts[0] * 4));
        TARE_RETURN_IF_ERROR(stream.synchronize());
        TARE_RETURN_IF_ERROR(tools.device.copy_in(stream, exact->data(), entries.data(), counts[0] * 4));
        TARE_RETURN_IF_ERROR(stream.synchronize());
        out.overflow = std::move(exact);
      }
      return out;
    }
    if (blocks == 0) return other_code();
    out.shape.header_blocks = blocks;
  }
}

Status unpack_matrix(const Toolbox& tools, Stream& stream, const ResidentMatrix& matrix, uint16_t* plain) {
  TARE_ASSIGN_OR_RETURN(const auto unpacker,
                        kernel(tools, unpack_expression({matrix.shape.code, matrix.shape.header_blocks})));
  const RecordOrder& order = matrix.shape.order;
  PackArguments a{.plain = plain,
                  .payload = static_cast<uint8_t*>(matrix.payload->data()),
                  .headers = matrix.headers ? static_cast<uint8_t*>(matrix.headers->data()) : nullptr,
                  .overflow = matrix.overflow ? static_cast<uint32_t*>(matrix.overflow->data()) : nullptr,
                  .counters = nullptr,
                  .rows = order.rows,
                  .columns = order.columns,
                  .strips_per_block = order.strips_per_block,
                  .base = matrix.shape.base,
                  .overflow_capacity = 0};
  void* arguments[] = {&a};
  return tools.launcher.launch(stream, *unpacker, wide(tools), arguments);
}

}  // namespace tare::linear_cuda
