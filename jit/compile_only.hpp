// A GPU that is not there: kernels are made for it and compiled, nothing runs. For filling the kernel cache ahead of
// time, on a machine without a GPU or beside one that is busy. Memory has addresses and no bytes; what is put on a
// stream is forgotten, copies from the device give zeros. [any thread]
#pragma once
#include <memory>

#include "core/api/device.hpp"

namespace tare::jit {

struct CompiledCount {
  int64_t kernels = 0;  // different ones
  int64_t fresh = 0;    // of these, compiled in this process; the others came from the cache
  int64_t cubin_bytes = 0;
};
class CompileOnlyDevice : public Device {
 public:
  virtual CompiledCount compiled() const = 0;
};
// `info` as the real device has it: kernels are compiled for the architecture among its features ("sm_90a"). invalid:
// there is none.
Result<std::unique_ptr<CompileOnlyDevice>> make_compile_only_device(DeviceInfo info);

}  // namespace tare::jit
