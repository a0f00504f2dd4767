// cuBLAS and cublasLt as a device's "vendor_products/1": opened when they are first asked for. [one thread]
#pragma once
#include <memory>

#include "autotune/vendor_products.hpp"
#include "jit/cuda_launch.hpp"

namespace tare::cuda {

// Both outlive it: they are one device.
std::unique_ptr<VendorProducts> make_vendor_products(Device& device, jit::CudaLaunch& launcher);

}  // namespace tare::cuda
