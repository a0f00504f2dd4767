// Matrices that the GPU lays out itself: every number comes back on the host, of as many bytes as the host's own
// encoder takes, whatever the escapes.
#include "jit/cuda_launch.hpp"
#include "plugins/linear/cuda/strips.hpp"
#include "tests/gpu/oracle.hpp"

using namespace tare;
using namespace tare::gpu_test;

namespace {

enum class Kind { gaussian, outliers, clustered, random };

std::vector<uint16_t> numbers(Kind kind, int64_t count) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0, 0.02f);
  std::vector<uint16_t> out(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) {
    float value = normal(random);
    if (kind == Kind::outliers && random() % 2000 == 0) value *= 300;
    if (kind == Kind::clustered && i / 64 % 40 == 7 && random() % 4 == 0) value *= 1e-5f;
    out[i] = kind == Kind::random ? static_cast<uint16_t>(random()) : to_bf16(value).bits;
  }
  return out;
}

}  // namespace

TEST_CASE("matrices laid out by the GPU come back bit for bit") {
  const auto device = open_gpu();
  if (device == nullptr || std::getenv("TARE_TEST_CUDA_DRIVER") != nullptr) return;
  auto stream = std::move(*device->create_stream());
  for (const char* id : {"w12/cuda-strips", "w11/cuda-strips", "dense/cuda-strips"})
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{16, 64}, {320, 1024}, {7168, 512}, {1024, 4096}})
      for (const Kind kind : {Kind::gaussian, Kind::outliers, Kind::clustered, Kind::random}) {
        CAPTURE(id);
        CAPTURE(rows);
        CAPTURE(static_cast<int>(kind));
        const Layout* layout = host().registry().layout(id);
        REQUIRE(layout != nullptr);
        const WeightInfo info{"m", DType::bf16, {rows, columns}, 1};
        const auto plain = numbers(kind, rows * columns);
        auto there = device->allocate(plain.size() * 2, Purpose::staging, "plain");
        REQUIRE(there.ok());
        REQUIRE(device->copy_in(*stream, (*there)->data(), plain.data(), plain.size() * 2).ok());
        auto encoder = layout->device_encoder(*device);
        REQUIRE(encoder.ok());
        REQUIRE(*encoder != nullptr);
        auto encoded = (*encoder)->encode(*stream, info, (*there)->data(), "m");
        REQUIRE_MESSAGE(encoded.ok(), encoded.status().message());
        std::vector<std::byte> bytes(encoded->buffer->bytes());
        REQUIRE(device->copy_out(*stream, bytes.data(), encoded->buffer->data(), bytes.size()).ok());
        REQUIRE(stream->synchronize().ok());
        std::vector<uint16_t> back(plain.size());
        const Status decoded = layout->decode(info, 0, rows, bytes.data(), back.data());
        REQUIRE_MESSAGE(decoded.ok(), decoded.message());
        CHECK(back == plain);
        // As the host would: the same sizes and the same fallbacks.
        auto survey = layout->survey(info);
        REQUIRE(survey.ok());
        int64_t wanted = layout->bytes(info);
        bool pays = true;
        if (*survey != nullptr) {
          REQUIRE((*survey)->look(0, rows, plain.data()).ok());
          auto plan = (*survey)->finish();
          REQUIRE(plan.ok());
          wanted = (*plan)->bytes(), pays = (*plan)->pays();
        }
        CHECK(std::ssize(bytes) == wanted);
        CHECK(encoded->pays == pays);
      }
}

// What loading an 8B of plain bf16 costs the device itself: 16 GB through histogram and packing.
TEST_CASE("packing runs at a good part of the memory's speed") {
  const auto device = open_gpu();
  if (device == nullptr || std::getenv("TARE_TEST_CUDA_DRIVER") != nullptr) return;
  auto* launcher = static_cast<jit::CudaLaunch*>(device->query(jit::CudaLaunch::kInterface));
  REQUIRE(launcher != nullptr);
  auto stream = std::move(*device->create_stream());
  const int64_t rows = 28672, columns = 4096;
  const WeightInfo info{"m", DType::bf16, {rows, columns}, 1};
  const auto plain = numbers(Kind::gaussian, rows * columns);
  auto there = device->allocate(plain.size() * 2, Purpose::staging, "plain");
  REQUIRE(there.ok());
  REQUIRE(device->copy_in(*stream, (*there)->data(), plain.data(), plain.size() * 2).ok());
  auto encoder = host().registry().layout("w12/cuda-strips")->device_encoder(*device);
  REQUIRE(encoder.ok());
  float best = 1e9f;
  for (int i = 0; i < 4; ++i) {
    auto first = std::move(*stream->record());
    auto encoded = (*encoder)->encode(*stream, info, (*there)->data(), "m");
    REQUIRE_MESSAGE(encoded.ok(), encoded.status().message());
    auto last = std::move(*stream->record());
    REQUIRE(first->wait().ok());
    REQUIRE(last->wait().ok());
    best = std::min(best, *launcher->elapsed_ms(*first, *last));
  }
  const double gigabytes = static_cast<double>(rows * columns * 2) / 1e9;
  std::printf("packing: %.2f ms for %.2f GB of bf16, %.0f GB/s: an 8B of 16 GB in %.2f s\n", best, gigabytes,
              gigabytes / best * 1e3, 16 / (gigabytes / best * 1e3));
  CHECK(16 / (gigabytes / best * 1e3) < 1);
}
