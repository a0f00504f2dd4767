#include "plugins/device_cuda/vendor_products.hpp"

#include "plugins/device_cuda/library.hpp"
#include "plugins/device_cuda/vendor_gemm.hpp"

namespace tare::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{64} << 20;

class BlasProducts final : public VendorProducts {
 public:
  BlasProducts(Device& device, jit::CudaLaunch& launcher) : device_(device), launcher_(launcher) {}

  Status open(const std::vector<std::string>& folders) override {
    if (gemm_ != nullptr) return {};
    TARE_ASSIGN_OR_RETURN(auto workspace, device_.allocate(kWorkspaceBytes, Purpose::workspace, "vendor/workspace"));
    std::vector<std::string> places = folders;
    for (const std::string& folder : toolkit_folders()) places.push_back(folder);
    TARE_ASSIGN_OR_RETURN(gemm_, VendorGemm::open(places, workspace->data(), workspace->bytes()));
    workspace_ = std::move(workspace);
    return {};
  }
  std::string found_at() const override { return gemm_ == nullptr ? "" : gemm_->found_at(); }
  Result<int> prepare(const ProductShape& shape, int most) override {
    if (gemm_ == nullptr) return failure(Code::internal, "the vendor's library was not opened");
    return gemm_->prepare({shape.rows, shape.outputs, shape.inputs}, most);
  }
  Status run(const ProductShape& shape, int which, Stream& stream, const void* weights, const void* x,
             void* out) override {
    if (gemm_ == nullptr) return failure(Code::internal, "the vendor's library was not opened");
    return gemm_->run({shape.rows, shape.outputs, shape.inputs}, which, launcher_.native(stream), weights, x, out);
  }

 private:
  Device& device_;
  jit::CudaLaunch& launcher_;
  std::unique_ptr<Buffer> workspace_;  // goes after the library's handles
  std::unique_ptr<VendorGemm> gemm_;
};

}  // namespace

std::unique_ptr<VendorProducts> make_vendor_products(Device& device, jit::CudaLaunch& launcher) {
  return std::make_unique<BlasProducts>(device, launcher);
}

}  // namespace tare::cuda
