#include "plugins/linear/cuda/bench/linear_lab.hpp"

#include <algorithm>
#include <cstring>

#include "plugins/linear/cuda/bench/measure.hpp"
#include "plugins/linear/cuda/bench/single_launches.hpp"
#include "plugins/linear/cuda/strips_layout.hpp"

namespace tare::linear_cuda {
namespace {

using bench::Lab;
using bench::Lost;
using bench::Measurement;

// What the folder throws, as a Status again.
template <class Work>
Status caught(Work&& work) noexcept {
  try {
    work();
    return {};
  } catch (const Lost& lost) {
    return lost.status;
  } catch (const std::bad_alloc&) {
    return Status(Code::exhausted, "the bench of linear products: the process is out of memory");
  } catch (const std::exception& e) {
    return failure(Code::internal, "the bench of linear products: ", e.what());
  }
}

class CudaData final : public DeviceData {
 public:
  CudaData(Device& device, jit::CudaLaunch& launcher, jit::Jit& jit) : lab_(device, launcher, jit) {}
  Status fill_weights(Stream& stream, int64_t rows, int64_t columns, uint64_t seed, bool gaussian, void* out) override {
    TARE_RETURN_IF_ERROR(stream.synchronize());
    return caught([&] {
      lab_.fill_weights(out, rows, columns, gaussian ? bench::WeightKind::gaussian : bench::WeightKind::trained, seed);
    });
  }
  Status fill_activations(Stream& stream, int64_t count, uint64_t seed, void* out) override {
    TARE_RETURN_IF_ERROR(stream.synchronize());
    return caught([&] { lab_.fill_activations(out, count, seed); });
  }
  Result<int64_t> differing(Stream& stream, const void* a, const void* b, int64_t count) override {
    TARE_RETURN_IF_ERROR(stream.synchronize());
    int64_t out = 0;
    TARE_RETURN_IF_ERROR(caught([&] { out = static_cast<int64_t>(lab_.differences(a, b, count)); }));
    return out;
  }
  Result<double> read_bandwidth() override {
    double out = 0;
    TARE_RETURN_IF_ERROR(caught([&] { out = lab_.read_bandwidth(); }));
    return out;
  }

 private:
  Lab lab_;
};

class CudaLab final : public LinearLab {
 public:
  explicit CudaLab(jit::Jit& jit) : jit_(jit) {}
  std::string_view device_kind() const noexcept override { return "cuda"; }
  Result<std::unique_ptr<DeviceData>> data(Device& device) override {
    TARE_ASSIGN_OR_RETURN(jit::CudaLaunch* const launcher, launcher_of(device));
    std::unique_ptr<DeviceData> out;
    TARE_RETURN_IF_ERROR(caught([&] { out = std::make_unique<CudaData>(device, *launcher, jit_); }));
    return out;
  }
  Status bench(Device& device, const LinearBenchRequest& request) override {
    TARE_ASSIGN_OR_RETURN(jit::CudaLaunch* const launcher, launcher_of(device));
    return caught([&] {
      Lab lab(device, *launcher, jit_);
      auto* vendor = static_cast<VendorProducts*>(device.query(VendorProducts::kInterface));
      Status found = vendor != nullptr ? vendor->open(request.vendor_folders) : failure(Code::not_found, "none");
      if (request.say) {
        request.say(text("# ", device.info().name, ", ", launcher->architecture(), ", ", device.info().units,
                         " multiprocessors"));
        request.say(found.ok() ? "# baseline: " + vendor->found_at() : "# no baseline: " + found.message());
      }
      if (!found.ok()) vendor = nullptr;
      if (!request.launches.empty()) return bench::launch_once(request, lab, vendor, device.info());
      Measurement(request, lab, vendor, jit_, device.info()).run();
    });
  }
  std::vector<std::byte> usual_head(const WeightInfo& matrix, std::string_view layout) const override {
    if (!is_strips(layout) || !fits_records(matrix)) return {};
    constexpr int32_t kBase = 112;
    const WeightCode code = layout == kW12Strips   ? WeightCode::kW12
                            : layout == kW11Strips ? WeightCode::kW11
                                                   : WeightCode::kDense;
    const StripsHead head = strips_head(code, order_of(matrix), leaves_of(matrix), usual_header_blocks(code), kBase, 0);
    std::vector<std::byte> out(static_cast<size_t>(std::min<int64_t>(kWeightHeadBytes, head.bytes)));
    std::memcpy(out.data(), &head, std::min(out.size(), sizeof head));
    return out;
  }

 private:
  // As the packer chooses them for trained weights (docs/benchmarks).
  static constexpr int32_t usual_header_blocks(WeightCode code) noexcept { return code == WeightCode::kW11 ? 3 : 1; }
  static Result<jit::CudaLaunch*> launcher_of(Device& device) {
    auto* launcher = static_cast<jit::CudaLaunch*>(device.query(jit::CudaLaunch::kInterface));
    if (launcher == nullptr) return failure(Code::unsupported, device.info().id, " has no cuda_launch/1");
    return launcher;
  }
  jit::Jit& jit_;
};

}  // namespace

std::shared_ptr<LinearLab> make_linear_lab(jit::Jit& jit) { return std::make_shared<CudaLab>(jit); }

}  // namespace tare::linear_cuda
