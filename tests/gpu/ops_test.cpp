// The model's operations on a GPU against slow, obvious host versions in double precision; attention also against
// itself in other batches.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "core/api/dtype.hpp"
#include "plugins/device_cuda/ops/bundle.hpp"
#include "plugins/device_cuda/ops/expression.hpp"
#include "tests/gpu/gpu.hpp"

using namespace tare;
using namespace tare::cuda_ops;

namespace {

float as_float(uint16_t bits) {
  const uint32_t word = uint32_t{bits} << 16;
  float out;
  std::memcpy(&out, &word, 4);
  return out;
}
uint16_t as_bf16(double value) {
  const float f = static_cast<float>(value);
  uint32_t word;
  std::memcpy(&word, &f, 4);
  return static_cast<uint16_t>((word + 0x7fff + ((word >> 16) & 1)) >> 16);
}
double rounded(double value) { return as_float(as_bf16(value)); }

// Numbers in [-2, 2) that depend on the place and the seed alone.
std::vector<uint16_t> numbers(size_t count, uint32_t seed) {
  std::vector<uint16_t> out(count);
  uint32_t state = seed * 2654435761u + 1;
  for (uint16_t& v : out) {
    state = state * 1664525u + 1013904223u;
    v = as_bf16((state >> 8) / 4194304.0 - 2.0);
  }
  return out;
}

struct Ops : gpu_test::Gpu {
  std::unique_ptr<Stream> stream;
  std::vector<std::unique_ptr<Buffer>> buffers;
  Ops() : Gpu({jit::cuda_ops_bundle()}) {
    if (device) stream = std::move(*device->create_stream());
  }
  template <class T>
  T* upload(const std::vector<T>& values) {
    auto buffer = device->allocate(std::max<size_t>(values.size() * sizeof(T), 1), Purpose::staging, "test");
    REQUIRE(buffer.ok());
    REQUIRE(device->copy_in(*stream, (*buffer)->data(), values.data(), values.size() * sizeof(T)).ok());
    buffers.push_back(std::move(*buffer));
    return static_cast<T*>(buffers.back()->data());
  }
  template <class T>
  std::vector<T> download(const T* from, size_t count) {
    std::vector<T> out(count);
    REQUIRE(device->copy_out(*stream, out.data(), from, count * sizeof(T)).ok());
    REQUIRE(stream->synchronize().ok());
    return out;
  }
  template <class Arguments>
  void launch(const char* file, const std::string& text, jit::LaunchShape shape, Arguments arguments) {
    auto compiled =
        jit->compile({std::string("plugins/device_cuda/ops/") + file, text, std::string(launcher->architecture())});
    REQUIRE_MESSAGE(compiled.ok(), compiled.status().message());
    auto kernel = launcher->load(**compiled, 0);
    REQUIRE(kernel.ok());
    void* pointers[] = {&arguments};
    REQUIRE(launcher->launch(*stream, **kernel, shape, pointers).ok());
    REQUIRE(stream->synchronize().ok());
  }
};

// Every value within one rounding (and the float's own error) of the exact one.
void close(const std::vector<uint16_t>& got, const std::function<double(size_t)>& exact, double tolerance = 0.01) {
  size_t wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double want = exact(i);
    if (!(std::abs(as_float(got[i]) - want) <= tolerance * std::max(1e-2, std::abs(want)))) ++wrong;
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("rows are gathered by id") {
  Ops gpu;
  if (!gpu.device) return;
  const auto table = numbers(50 * 96, 1);
  const std::vector<int32_t> ids{7, 0, 49, 7};
  auto* out = gpu.upload(std::vector<uint16_t>(4 * 96));
  gpu.launch("embed.cuh", "tare::cuda_ops::embed", {.grid_x = 4, .threads = 64},
             EmbedArguments{gpu.upload(table), gpu.upload(ids), out, 96, 96, 96});
  const auto got = gpu.download(out, 4 * 96);
  for (size_t r = 0; r < 4; ++r) {
    CHECK(std::equal(got.begin() + static_cast<long>(r * 96), got.begin() + static_cast<long>(r * 96 + 96),
                     table.begin() + ids[r] * 96));
  }
}

TEST_CASE("norms, with and without weights") {
  Ops gpu;
  if (!gpu.device) return;
  const size_t columns = 576, rows = 3;
  const auto x = numbers(rows * columns, 2), weight = numbers(columns, 3), bias = numbers(columns, 4);
  for (const NormKind kind : {NormKind::kRms, NormKind::kLayer}) {
    for (const bool plain : {false, true}) {
      auto* out = gpu.upload(std::vector<uint16_t>(rows * columns));
      gpu.launch("norm.cuh", expression(NormConfig{kind}), {.grid_x = rows, .threads = 256},
                 NormArguments{gpu.upload(x), plain ? nullptr : gpu.upload(weight),
                               plain || kind == NormKind::kRms ? nullptr : gpu.upload(bias), out,
                               static_cast<int64_t>(columns), static_cast<int64_t>(columns),
                               static_cast<int64_t>(columns), 1e-5f, 1.0f});
      close(gpu.download(out, rows * columns), [&](size_t i) {
        const size_t row = i / columns, c = i % columns;
        double mean = 0, square = 0;
        for (size_t k = 0; k < columns; ++k) mean += as_float(x[row * columns + k]) / static_cast<double>(columns);
        if (kind == NormKind::kRms) mean = 0;
        for (size_t k = 0; k < columns; ++k)
          square += std::pow(as_float(x[row * columns + k]) - mean, 2) / static_cast<double>(columns);
        double v = (as_float(x[i]) - mean) / std::sqrt(square + 1e-5);
        if (!plain) v *= as_float(weight[c]) + 1.0;
        if (!plain && kind == NormKind::kLayer) v += as_float(bias[c]);
        return v;
      });
    }
  }
}

TEST_CASE("rotary turns pairs by position, and leaves the rest alone") {
  Ops gpu;
  if (!gpu.device) return;
  const int tokens = 3, heads = 2, size = 64, first = 8, width = 32;
  const auto x = numbers(tokens * heads * size, 5);
  const std::vector<int32_t> positions{0, 17, 100000};
  std::vector<float> frequencies;
  for (int j = 0; j < width / 2; ++j) frequencies.push_back(std::pow(10000.0f, -2.0f * static_cast<float>(j) / width));
  for (const RotaryPairs pairs : {RotaryPairs::kHalves, RotaryPairs::kNeighbours}) {
    auto* out = gpu.upload(std::vector<uint16_t>(x.size()));
    gpu.launch("rotary.cuh", expression(RotaryConfig{pairs}), {.grid_x = tokens, .grid_y = heads, .threads = 64},
               RotaryArguments{gpu.upload(x), out, gpu.upload(positions), gpu.upload(frequencies), heads * size,
                               heads * size, size, first, width, 1.5f});
    close(gpu.download(out, x.size()), [&](size_t i) -> double {
      const int token = static_cast<int>(i) / (heads * size), at = static_cast<int>(i) % size, place = at - first;
      if (place < 0 || place >= width) return as_float(x[i]);
      const bool halves = pairs == RotaryPairs::kHalves;
      const int j = halves ? place % (width / 2) : place / 2;
      const bool second = halves ? place >= width / 2 : place % 2 == 1;
      const size_t base = i - static_cast<size_t>(place);
      const size_t a = base + static_cast<size_t>(halves ? j : 2 * j), b = halves ? a + width / 2 : a + 1;
      const double angle = static_cast<double>(static_cast<float>(positions[static_cast<size_t>(token)]) *
                                               frequencies[static_cast<size_t>(j)]);
      const double u = as_float(x[a]), v = as_float(x[b]);
      return 1.5 * (second ? v * std::cos(angle) + u * std::sin(angle) : u * std::cos(angle) - v * std::sin(angle));
    });
  }
}

TEST_CASE("elementwise operations round where they should") {
  Ops gpu;
  if (!gpu.device) return;
  const size_t columns = 300, rows = 2;
  const auto a = numbers(rows * columns, 6), b = numbers(rows * columns, 7);
  auto run = [&](Elementwise operation, Activation activation) {
    auto* out = gpu.upload(std::vector<uint16_t>(rows * columns));
    const auto n = static_cast<int64_t>(columns);
    gpu.launch("elementwise.cuh", expression(ElementwiseConfig{operation, activation}),
               {.grid_x = 2, .grid_y = rows, .threads = 256},
               ElementwiseArguments{gpu.upload(a), gpu.upload(b), out, n, n, n, n, 0.7f});
    return gpu.download(out, rows * columns);
  };
  const auto silu = [](double x) { return x / (1 + std::exp(-x)); };
  close(run(Elementwise::kGated, Activation::kSilu),
        [&](size_t i) { return rounded(silu(as_float(a[i]))) * as_float(b[i]); });
  close(run(Elementwise::kActivate, Activation::kGeluTanh), [&](size_t i) {
    const double x = as_float(a[i]);
    return 0.5 * x * (1 + std::tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
  });
  close(run(Elementwise::kSoftCap, Activation::kNone), [&](size_t i) { return 0.7 * std::tanh(as_float(a[i]) / 0.7); });
  const auto sums = run(Elementwise::kAdd, Activation::kNone);
  const auto scaled = run(Elementwise::kScale, Activation::kNone);
  for (size_t i = 0; i < sums.size(); ++i) {
    CHECK(sums[i] == as_bf16(as_float(a[i]) + as_float(b[i])));
    CHECK(scaled[i] == as_bf16(as_float(a[i]) * as_float(as_bf16(0.7))));
  }
}

TEST_CASE("argmax takes the largest, the lower id on ties, and never NaN") {
  Ops gpu;
  if (!gpu.device) return;
  const size_t columns = 5000;
  std::vector<float> logits(3 * columns);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = std::sin(static_cast<float>(i));
  logits[4321] = 9, logits[columns + 77] = 9, logits[columns + 4999] = 9;
  logits[2 * columns + 5] = NAN, logits[2 * columns + 1234] = 9;
  auto* ids = gpu.upload(std::vector<int32_t>(3));
  gpu.launch("argmax.cuh", expression(ArgmaxConfig{true}), {.grid_x = 3, .threads = 1024},
             ArgmaxArguments{gpu.upload(logits), ids, static_cast<int64_t>(columns), static_cast<int64_t>(columns)});
  CHECK(gpu.download(ids, 3) == std::vector<int32_t>{4321, 77, 1234});
}

TEST_CASE("attention over paged state: exact answer, whatever the batch and the cut of the prompt") {
  Ops gpu;
  if (!gpu.device) return;
  const int heads = 4, kv_heads = 2, size = 64, page_tokens = 16, length = 150, pages = 10;
  const int64_t token_bytes = kv_heads * size * 2, page_bytes = 2 * page_tokens * token_bytes;
  const auto q = numbers(length * heads * size, 8), k = numbers(length * kv_heads * size, 9),
             v = numbers(length * kv_heads * size, 10);
  for (const Visible visible : {Visible::kFull, Visible::kWindow, Visible::kChunk}) {
    const int extent = 40;
    // The whole prompt in pieces of `chunk` tokens, as sequence 1 of two, in pages that are out of order.
    auto run = [&](int chunk) {
      std::vector<int32_t> table(2 * pages);
      for (int p = 0; p < pages; ++p)
        table[static_cast<size_t>(pages + p)] = (p * 7 + 3) % pages + pages, table[static_cast<size_t>(p)] = -1;
      auto* state = gpu.upload(std::vector<uint8_t>(static_cast<size_t>(2 * pages * page_bytes), 0xff));
      const auto* pages_at = gpu.upload(table);
      auto* out = gpu.upload(std::vector<uint16_t>(q.size()));
      for (int begin = 0; begin < length; begin += chunk) {
        const int count = std::min(chunk, length - begin);
        std::vector<int32_t> positions, sequences;
        for (int t = 0; t < count; ++t) positions.push_back(begin + t), sequences.push_back(1);
        const AttentionArguments arguments{gpu.upload(q) + begin * heads * size,
                                           gpu.upload(k) + begin * kv_heads * size,
                                           gpu.upload(v) + begin * kv_heads * size,
                                           out + begin * heads * size,
                                           gpu.upload(positions),
                                           gpu.upload(sequences),
                                           PagedState{state, pages_at, pages, page_bytes, 0, page_tokens * token_bytes,
                                                      token_bytes, token_bytes, page_tokens},
                                           heads * size,
                                           kv_heads * size,
                                           kv_heads * size,
                                           heads * size,
                                           heads,
                                           kv_heads,
                                           extent,
                                           0.125f,
                                           0.0f};
        const AttentionConfig config{size, size, visible};
        const auto tokens = static_cast<uint32_t>(count);
        gpu.launch("attention.cuh", expression("append", config), {.grid_x = tokens, .threads = 128}, arguments);
        gpu.launch("attention.cuh", expression("attend", config), {.grid_x = tokens, .grid_y = heads, .threads = 128},
                   arguments);
      }
      return gpu.download(out, q.size());
    };
    const auto whole = run(length);
    CHECK(run(1) == whole);
    CHECK(run(64) == whole);
    close(
        whole,
        [&](size_t i) {
          const int t = static_cast<int>(i) / (heads * size), h = static_cast<int>(i) / size % heads,
                    d = static_cast<int>(i) % size;
          const int kv = h / (heads / kv_heads);
          const int first = visible == Visible::kWindow  ? std::max(0, t - extent + 1)
                            : visible == Visible::kChunk ? t / extent * extent
                                                         : 0;
          double best = -1e30, total = 0, sum = 0;
          std::vector<double> scores;
          for (int j = first; j <= t; ++j) {
            double s = 0;
            for (int e = 0; e < size; ++e) {
              s += double(as_float(q[static_cast<size_t>((t * heads + h) * size + e)])) *
                   as_float(k[static_cast<size_t>((j * kv_heads + kv) * size + e)]);
            }
            scores.push_back(s * 0.125);
            best = std::max(best, scores.back());
          }
          for (int j = first; j <= t; ++j) {
            const double w = std::exp(scores[static_cast<size_t>(j - first)] - best);
            total += w;
            sum += w * as_float(v[static_cast<size_t>((j * kv_heads + kv) * size + d)]);
          }
          return sum / total;
        },
        0.02);
  }
}
